"""The bank's file: pictures as WebP in a NumPy archive, small enough to be carried elsewhere."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Bytes = npt.NDArray[np.uint8]
QUALITY = 82
CANVAS_PX = (192, 96)
"""Width and height of a sprite; its object lies in the middle."""
MODES = {"sprites": "RGBA", "scenes": "RGB"}


def pack(path: Path, sprites: list[Bytes], scenes: list[Bytes], **more: npt.NDArray[Any]) -> None:
    """Write sprites (96, 192, 4) and scenes (320, 320, 3), and the arrays beside them."""
    blobs: dict[str, Any] = dict(more)
    for name, pictures in (("sprites", sprites), ("scenes", scenes)):
        with ThreadPoolExecutor() as pool:
            coded = list(pool.map(_coded, pictures))
        blobs[name] = np.frombuffer(b"".join(coded), np.uint8)
        blobs[f"{name}_bytes"] = np.array([len(one) for one in coded], np.int64)
    np.savez(path, **blobs)


def unpack(path: Path) -> dict[str, npt.NDArray[Any]]:
    """All arrays by name; sprites (N, 96, 192, 4) and scenes (N, 320, 320, 3) as pictures."""
    with np.load(path) as archive:
        found = {name: archive[name] for name in archive.files}
    for name in ("sprites", "scenes"):
        ends = np.cumsum(found.pop(f"{name}_bytes"))
        blob = found[name].tobytes()
        parts = [blob[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
        with ThreadPoolExecutor() as pool:
            found[name] = np.stack(list(pool.map(_decoded, parts, [MODES[name]] * len(parts))))
    return found


def _coded(picture: Bytes) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "WEBP", quality=QUALITY, method=4)
    return out.getvalue()


def _decoded(blob: bytes, mode: str) -> Bytes:
    return np.asarray(Image.open(io.BytesIO(blob)).convert(mode))
