"""Pictures to compare engines on: drawn from a seed, with the shapes that detectors look for."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ...types import Frame, FrameKey
from ..bundle import BundleInput

NUMBER = 8
SEED = 20

Picture = NDArray[np.uint8]


def drawn_frames(spec: BundleInput, number: int = NUMBER, seed: int = SEED) -> list[Frame]:
    """Frames of a model's own size and colour; the same in every process.

    In turn a scene like a circuit board (bright lines with gaps, spurs and holes on black) and
    one of smooth shapes with text and noise.
    """
    rng = np.random.default_rng(seed)
    size = (spec.height_px, spec.width_px, spec.channels)
    frames = []
    for i in range(number):
        picture = _board(size, rng) if i % 2 == 0 else _scene(size, rng)
        image = picture[:, :, 0].copy() if spec.channels == 1 else picture
        encoding = {"gray": "mono8", "rgb": "rgb8", "bgr": "bgr8"}[spec.colour]
        frames.append(Frame(FrameKey("drawn", i), image, encoding))
    return frames


def _board(size: tuple[int, int, int], rng: np.random.Generator) -> Picture:
    height, width, _ = size
    picture = np.zeros(size, np.uint8)
    scale = max(min(height, width) // 40, 2)
    white = [255] * 3
    for y in range(scale, height, 3 * scale):
        thick = max(int(rng.integers(scale // 2, scale + 1)), 1)
        cv2.line(picture, (0, y), (width, y), white, thick)
        for _ in range(3):
            x, reach = int(rng.integers(0, width)), int(rng.integers(scale // 3, scale + 2))
            kind = int(rng.integers(0, 4))
            if kind == 0:  # an open line
                cv2.rectangle(picture, (x, y - thick), (x + reach, y + thick), [0] * 3, -1)
            elif kind == 1:  # a short to the next line
                cv2.line(picture, (x, y), (x, y + 3 * scale), white, max(reach // 2, 1))
            elif kind == 2:  # a spur
                cv2.circle(picture, (x, y - thick // 2), max(reach // 2, 1), white, -1)
            else:  # a bite
                cv2.circle(picture, (x, y - thick // 2), max(reach // 2, 1), [0] * 3, -1)
    return picture


def _scene(size: tuple[int, int, int], rng: np.random.Generator) -> Picture:
    height, width, channels = size
    left, right = (float(value) for value in rng.integers(0, 200, 2))
    ramp = np.linspace(left, right, width)[None, :, None]
    picture = np.broadcast_to(ramp, size).astype(np.uint8).copy()
    for _ in range(12):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        reach = int(rng.integers(4, max(min(height, width) // 5, 6)))
        colour = [int(value) for value in rng.integers(0, 256, 3)]
        kind = int(rng.integers(0, 3))
        if kind == 0:
            cv2.rectangle(picture, (x, y), (x + reach, y + reach), colour, -1)
        elif kind == 1:
            cv2.circle(picture, (x, y), reach, colour, -1)
        else:
            cv2.putText(picture, "Mastra", (x, y), cv2.FONT_HERSHEY_PLAIN, 2.0, colour, 2)
    noise = rng.integers(-12, 13, (height, width, channels))
    return np.asarray(np.clip(picture.astype(np.int16) + noise, 0, 255), np.uint8)
