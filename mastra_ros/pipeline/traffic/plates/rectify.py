"""Straightens the picture of a plate: turned upright, its slant taken out, cut to its letters."""

from __future__ import annotations

import cv2
import numpy as np

from .reading import Image

MARGIN_SHARE = (0.06, 0.12)
"""Of its width and height, what is cut out around a found plate."""
LONG_RATIO = 2.9
"""A plate that is wider than this, as a multiple of its height, holds one line and no more."""
ROWS = ((0.15, 0.85), (0.2, 0.8), (0.08, 0.92))
LONG_ROWS = ((-0.07, 1.07), (-0.02, 1.02), (-0.14, 1.14))
"""Where a plate's line of letters is cut out, as shares of its height: several times."""
LONG_ASIDE = 0.04
STRETCH = 1.4
"""A line of short letters is so pulled out that each has enough places to be read at."""
TWO_LINES_RATIO = 1.75
"""A plate that is less wide than this, as a multiple of its height, may hold two lines."""
TIGHT = (0.0, 0.02)
TURN_MOST_DEG = 22.0
SEEN_WIDE_PX = 240


Box = tuple[float, float, float, float]


def cut_out(image: Image, box: Box, margin: tuple[float, float] = MARGIN_SHARE) -> Image:
    """The part of the picture with the plate, with a margin; x1 y1 x2 y2 in px."""
    high, wide = image.shape[:2]
    x1, y1, x2, y2 = box
    mx, my = margin[0] * (x2 - x1), margin[1] * (y2 - y1)
    a, b = max(0, int(x1 - mx)), max(0, int(y1 - my))
    c, d = min(wide, int(np.ceil(x2 + mx))), min(high, int(np.ceil(y2 + my)))
    return image[b : max(b + 1, d), a : max(a + 1, c)]


def lines_of(image: Image, box: Box) -> list[Image]:
    """The line of letters, cut out closely and less so: each is read, and no cut need be right.

    Of a plate with words above and below it the middle.
    """
    x1, y1, x2, y2 = box
    high, wide = y2 - y1, x2 - x1
    long = wide >= LONG_RATIO * high
    aside = LONG_ASIDE * wide if long else 0.0
    cuts = []
    for top, bottom in LONG_ROWS if long else ROWS:
        a = min(max(0, int(x1 - aside)), image.shape[1] - 1)
        b = min(max(0, int(y1 + top * high)), image.shape[0] - 1)
        c, d = int(np.ceil(x2 + aside)), int(np.ceil(y1 + bottom * high))
        cuts.append(image[b : max(b + 1, d), a : max(a + 1, c)])
    return cuts


def pulled_out(lines: list[Image]) -> list[Image]:
    """The same lines, wider."""
    return [cv2.resize(line, None, fx=STRETCH, fy=1) for line in lines]


def two_lines(image: Image, box: Box) -> list[Image]:
    """The upper and the lower half of a plate that may hold two lines; none of a wider one."""
    x1, y1, x2, y2 = box
    if x2 - x1 >= TWO_LINES_RATIO * (y2 - y1):
        return []
    middle = (y1 + y2) / 2
    return [cut_out(image, half, TIGHT) for half in ((x1, y1, x2, middle), (x1, middle, x2, y2))]


def whole_plates(image: Image, box: Box) -> list[Image]:
    """The plate straightened, cut out closely and less so."""
    return [straightened(cut_out(image, box, margin)) for margin in (TIGHT, MARGIN_SHARE)]


def straightened(plate: Image) -> Image:
    """The same, its lines of letters level. What cannot be told is left as it is."""
    high, wide = plate.shape[:2]
    if high < 10 or wide < 24:
        return plate
    grey = plate if plate.ndim == 2 else cv2.cvtColor(plate, cv2.COLOR_BGR2GRAY)
    scale = SEEN_WIDE_PX / wide
    small = cv2.resize(grey, (SEEN_WIDE_PX, max(12, round(high * scale))))
    slope = _slope(np.asarray(small, np.float32))
    if abs(slope) < 0.015:
        return plate
    # Upright strokes stay upright: a plate seen from a side is sheared more than it is turned.
    shift = slope * wide / 2
    move = np.array([[1, 0, 0], [-slope, 1, shift]], np.float32)
    how = cv2.BORDER_REPLICATE
    return np.asarray(
        cv2.warpAffine(plate, move, (wide, high), flags=cv2.INTER_LINEAR, borderMode=how)
    )


def _slope(grey: Image) -> float:
    """How much the lines fall, px a px: that which makes the rows differ most from one another."""
    edges = np.abs(cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3))
    high, wide = edges.shape
    most = np.tan(np.radians(TURN_MOST_DEG))
    best, found = -1.0, 0.0
    flat = 0.0
    for slope in np.linspace(-most, most, 33):
        move = np.array([[1, 0, 0], [-slope, 1, slope * wide / 2]], np.float32)
        moved = cv2.warpAffine(edges, move, (wide, high))
        inner = moved[high // 10 : high - high // 10]
        sharp = float(inner.mean(1).var())
        if abs(slope) < 1e-6:
            flat = sharp
        if sharp > best:
            best, found = sharp, float(slope)
    # A weak line says nothing.
    return found if best > 1.25 * flat else 0.0
