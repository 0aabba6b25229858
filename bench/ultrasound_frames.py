"""The frames of the ultrasound recordings in MASTRA_DATA."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SWEEP = "ultrasound/SpinePhantomFreehand.igs.mha"
TANK = "ultrasound/WaterTankBottomTranslationVideoBuffer.igs.mha"


def sweep(data: Path, name: str = SWEEP) -> NDArray[np.uint8]:
    """(frames, height, width): a MetaImage of bytes, compressed as a whole."""
    raw = (data / name).read_bytes()
    end = raw.index(b"\n", raw.index(b"ElementDataFile")) + 1
    found = re.search(rb"^DimSize = (\d+) (\d+) (\d+)", raw[:end], re.MULTILINE)
    if found is None:
        raise ValueError(f"{name}: expected DimSize in its header")
    width, height, frames = (int(number) for number in found.groups())
    pixels = zlib.decompress(raw[end:])
    return np.frombuffer(pixels, np.uint8).reshape(frames, height, width)
