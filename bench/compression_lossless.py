"""Lossless and near-lossless codecs on gray pictures: bytes, times, and the largest error."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.compression_scenes import Picture
from mastra_ros.compression.stills import decode_still, encode_still

FORMS = (("png", 0), ("jpegls", 0), ("jpegls", 1), ("jpegls", 2))


def lossless(frames: Sequence[Picture]) -> list[dict[str, Any]]:
    """Each codec and declared error."""
    rows = []
    for codec, error_max in FORMS:
        sizes, encode_ms, decode_ms, worst = [], [], [], 0
        for image in frames:
            height, width = image.shape
            began = time.perf_counter()
            data = encode_still(image, "mono8", codec, 0, error_max=error_max)
            encoded = time.perf_counter()
            back = decode_still(data, "mono8", codec, width, height)
            decode_ms.append((time.perf_counter() - encoded) * 1e3)
            encode_ms.append((encoded - began) * 1e3)
            sizes.append(len(data))
            worst = max(worst, int(np.abs(back.astype(int) - image).max()))
        rows.append(
            {
                "codec": codec,
                "error_declared": error_max,
                "error_worst": worst,
                "bytes": round(statistics.mean(sizes)),
                "raw_bytes": frames[0].nbytes,
                "encode_p50_ms": round(statistics.median(encode_ms), 2),
                "decode_p50_ms": round(statistics.median(decode_ms), 2),
            }
        )
    return rows
