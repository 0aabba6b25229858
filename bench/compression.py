"""Bytes and time a frame: key frames and changed tiles, beside one JPEG a frame.

    python -m bench.compression [--repetitions 5] [--out bench/results/compression.json]

On the synthetic line, and on the two fixed-camera videos where MASTRA_DATA is set. Both sides code
the same frames at the same quality, in turn; an acknowledgement comes two frames after its frame,
as with a round trip of 130 ms at 15 frames/s. Error: mean absolute difference, in gray levels.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mastra_ros.camera import open_source
from mastra_ros.compression import Decoder, Encoder
from mastra_ros.config import CameraConfig, CompressionConfig
from mastra_ros.privacy import hiding_nothing
from mastra_ros.types import Frame

GATE = hiding_nothing("codecs measured on this machine; nothing is sent")
ACKNOWLEDGED_AFTER = 2
LINE_FRAMES = {"640x640": 120, "1920x1080": 60}
VIDEOS = ("car-detection.mp4", "bottle-detection.mp4")
VIDEO_FRAMES = 150


def scenes() -> Iterator[tuple[str, list[Frame]]]:
    """Name and frames of each scene."""
    for size, count in LINE_FRAMES.items():
        width, height = size.split("x")
        uri = f"synthetic:pcb?seed=5&width={width}&height={height}"
        yield f"synthetic line {size}", read(uri, count)
    folder = os.environ.get("MASTRA_DATA", "")
    for name in VIDEOS if folder else ():
        yield name, read(f"file:{Path(folder) / 'videos' / name}", VIDEO_FRAMES)


def read(uri: str, count: int) -> list[Frame]:
    """The first frames of a source."""
    source = open_source(CameraConfig(source=uri))
    frames = [source.read(timeout_s=5.0) for _ in range(count)]
    source.close()
    return frames


def ours(frames: list[Frame], config: CompressionConfig) -> dict[str, float]:
    """Encode and decode as device and gateway do."""
    encoder, decoder = Encoder(config), Decoder()
    sizes, encode_ms, decode_ms, still_ms, errors = [], [], [], [], []
    for index, frame in enumerate(frames):
        if index >= ACKNOWLEDGED_AFTER:
            encoder.acknowledge(frames[index - ACKNOWLEDGED_AFTER].key.stamp_ns)
        began = time.perf_counter()
        packet = encoder.encode(GATE.clear(frame))
        encoded = time.perf_counter()
        decoded = decoder.decode(packet).image
        decode_ms.append((time.perf_counter() - encoded) * 1e3)
        encode_ms.append((encoded - began) * 1e3)
        sizes.append(len(packet.payload))
        if packet.reference_ns and len(packet.payload) < 512:
            still_ms.append(encode_ms[-1])
        errors.append(error(decoded, frame))
    figures = summary(sizes, encode_ms, decode_ms, errors)
    if still_ms:  # frames in which nothing has changed
        figures["unchanged_encode_ms"] = statistics.median(still_ms)
    return figures


def jpeg(frames: list[Frame], config: CompressionConfig) -> dict[str, float]:
    """One JPEG a frame, as most cameras and drivers send it."""
    sizes, encode_ms, decode_ms, errors = [], [], [], []
    for frame in frames:
        began = time.perf_counter()
        data = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, config.quality])[1]
        encoded = time.perf_counter()
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        decode_ms.append((time.perf_counter() - encoded) * 1e3)
        encode_ms.append((encoded - began) * 1e3)
        sizes.append(len(data))
        errors.append(error(decoded, frame))
    return summary(sizes, encode_ms, decode_ms, errors)


def error(decoded: Any, frame: Frame) -> float:
    """Mean absolute difference, gray levels."""
    return float(np.mean(cv2.mean(cv2.absdiff(decoded, frame.image))[:3]))


def summary(
    sizes: list[int], encode_ms: list[float], decode_ms: list[float], errors: list[float]
) -> dict[str, float]:
    """What is reported of one run."""
    return {
        "bytes_per_frame": statistics.mean(sizes),
        "encode_p50_ms": statistics.median(encode_ms),
        "encode_mean_ms": statistics.mean(encode_ms),
        "decode_p50_ms": statistics.median(decode_ms),
        "error_mean": statistics.mean(errors),
        "error_worst_frame": max(errors),
    }


def measure(repetitions: int, config: CompressionConfig) -> list[dict[str, Any]]:
    """All scenes; the two sides take turns, and each figure is the median of the repetitions."""
    rows = []
    for name, frames in scenes():
        runs: dict[str, list[dict[str, float]]] = {"mastra": [], "jpeg": []}
        sides = (("mastra", ours), ("jpeg", jpeg))
        for repetition in range(repetitions):
            for side, run in sides if repetition % 2 == 0 else reversed(sides):
                runs[side].append(run(frames, config))
        medians: dict[str, dict[str, float]] = {
            side: {
                figure: round(statistics.median(run[figure] for run in done), 3)
                for figure in done[0]
            }
            for side, done in runs.items()
        }
        row = {
            "scene": name,
            "frames": len(frames),
            **medians,
            "bytes_ratio": round(
                medians["mastra"]["bytes_per_frame"] / medians["jpeg"]["bytes_per_frame"], 3
            ),
        }
        print(json.dumps(row), flush=True)
        rows.append(row)
    return rows


def main() -> int:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="threads of OpenCV")
    parser.add_argument("--out", type=Path, default=Path("bench/results/compression.json"))
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    config = CompressionConfig()
    told = {
        "command": "python -m bench.compression",
        "machine": {"cpus": os.cpu_count(), "processor": platform.machine()},
        "opencv": cv2.__version__,
        "opencv_threads": options.threads,
        "repetitions": options.repetitions,
        "quality": config.quality,
        "tile_px": config.tile_px,
        "acknowledged_after_frames": ACKNOWLEDGED_AFTER,
        "rows": measure(options.repetitions, config),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(told, indent=2, allow_nan=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
