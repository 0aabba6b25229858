"""Draws what was found onto a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mastra_ros.pictures import eight_bits
from mastra_ros.privacy import ClearedFrame
from mastra_ros.types import Detections, Result

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]  # blue, green, red

PALETTE: tuple[Colour, ...] = (
    (60, 60, 230),
    (50, 160, 250),
    (200, 80, 200),
    (230, 140, 40),
    (60, 180, 60),
    (180, 180, 0),
)
DOUBTFUL: Colour = (0, 190, 255)
ERROR: Colour = (0, 0, 255)
BAR: Colour = (40, 40, 40)
VERDICTS: dict[str, Colour] = {
    "pass": (40, 110, 30),
    "reject": (40, 30, 170),
    "review": (0, 100, 190),
}
INK: Colour = (255, 255, 255)
DARK: Colour = (0, 0, 0)
BRIGHT = 160
"""Gray level above which letters are dark."""


def draw(cleared: ClearedFrame, result: Result, text: str = "") -> Image:
    """A copy of the picture with a result's boxes, below a line on its origin, age and `text`.

    Returns uint8 (height + bar, width, 3) BGR: what stands at the upper border of the picture
    stays in sight.
    """
    canvas = bgr_copy(cleared)
    draw_boxes(canvas, result.detections)
    words = [result.origin.value, "" if result.final else "provisional", "late" * result.late]
    if np.isfinite(result.age_ms):
        words.append(f"{result.age_ms:.0f} ms")
    words += [f"{len(result.detections)} found" if not result.error else "", text]
    lines = [("  ".join(word for word in words if word), BAR)]
    if result.error:
        lines.append((result.error, ERROR))
    return with_captions(canvas, lines)


def draw_boxes(
    canvas: Image, found: Detections, *, left_px: int = 0, colour: Colour | None = None
) -> None:
    """Draw boxes with label and score, moved right by `left_px`; a colour a class if None."""
    size = _scale(canvas)
    thickness = max(1, round(2 * size))
    for box, score, class_id in zip(
        found.boxes.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True
    ):
        paint = colour or PALETTE[class_id % len(PALETTE)]
        x1, y1 = round(box[0]) + left_px, round(box[1])
        x2, y2 = round(box[2]) + left_px, round(box[3])
        cv2.rectangle(canvas, (x1, y1), (x2, y2), paint, thickness)
        text = f"{found.labels[class_id]} {score:.2f}"
        (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45 * size, 1)
        top = y1 - high - below - 2 if y1 > high + below + 2 else y2
        start = min(max(x1, 0), max(canvas.shape[1] - wide, 0))
        cv2.rectangle(canvas, (start, top), (start + wide, top + high + below + 2), paint, -1)
        _write(canvas, text, (start, top + high + 1), 0.45 * size, _ink_on(paint))


def with_captions(canvas: Image, lines: Sequence[tuple[str, Colour]]) -> Image:
    """The picture with lines of text above it, each on a bar of its colour."""
    size = _scale(canvas)
    high = round(22 * size)
    bars = np.empty((high * len(lines), canvas.shape[1], 3), np.uint8)
    for index, (text, colour) in enumerate(lines):
        bar = bars[index * high : (index + 1) * high]
        bar[:] = colour
        _write(bar, text, (round(6 * size), round(16 * size)), 0.5 * size, _ink_on(colour))
    return np.concatenate([bars, canvas])


def _ink_on(paint: Colour) -> Colour:
    """White, or black where the paint is bright: its luma by ITU-R BT.601."""
    blue, green, red = paint
    return DARK if 0.114 * blue + 0.587 * green + 0.299 * red > BRIGHT else INK


def _write(canvas: Image, text: str, at: tuple[int, int], scale: float, ink: Colour) -> None:
    # OpenCV's fonts know ASCII only and draw "?" for the rest.
    plain = text.encode("ascii", "replace").decode("ascii")
    thick = max(1, round(scale))
    cv2.putText(canvas, plain, at, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thick, cv2.LINE_AA)


def _scale(canvas: Image) -> float:
    """1 for a picture 640 px wide."""
    return max(0.5, float(canvas.shape[1]) / 640)


def bgr_copy(cleared: ClearedFrame) -> Image:
    """A copy of a picture to draw on: uint8 (height, width, 3) BGR."""
    frame = eight_bits(cleared.frame)
    if frame.encoding == "bgr8":
        return np.array(frame.image, np.uint8)
    code = cv2.COLOR_GRAY2BGR if frame.encoding == "mono8" else cv2.COLOR_RGB2BGR
    return np.asarray(cv2.cvtColor(frame.image, code), np.uint8)
