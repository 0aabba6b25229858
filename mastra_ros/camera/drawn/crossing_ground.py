"""What does not move on the drawn crossing: roads, lines, houses, trees, and the signals."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .junction_layout import (
    CROSS_Y_M,
    LANES_X_M,
    STOP_CROSS_X_M,
    STOP_IN_Y_M,
    STOP_OUT_Y_M,
    WALK_Y_M,
    signal,
)
from .road_view import RoadView

Image = NDArray[np.uint8]
Floats = NDArray[np.float64]
Colour = tuple[float, float, float]

GRASS, ROAD, LINE, PAVEMENT = (62, 96, 82), (92, 90, 88), (215, 218, 218), (140, 143, 146)
LAMPS: dict[str, Colour] = {"red": (40, 40, 235), "yellow": (30, 200, 240), "green": (90, 220, 60)}
EDGE_M = 8.9
MASTS = (("main", -9.6, STOP_IN_Y_M - 13.0), ("main", 9.6, STOP_OUT_Y_M + 13.5))


def draw_ground(view: RoadView, seed: int, light: float) -> Image:
    """The empty crossing (height, width, 3)."""
    rng = np.random.default_rng([seed, 0x9A])
    high, wide = view.height_px, view.width_px
    image = np.empty((high, wide, 3), np.float32)
    horizon = int(view.project(np.array([[0.0, 5000.0, 0.0]]))[0][0, 1])
    image[:] = GRASS
    if horizon > 0:
        image[:horizon] = np.linspace((225, 205, 190), (235, 230, 225), horizon)[:, None]
    for _ in range(26):
        x, y = rng.uniform(-90, 90), rng.uniform(62, 120)
        if abs(x) < 16:
            continue
        _house(image, view, rng, x, y)
    low, top = CROSS_Y_M[0] - 3.0, CROSS_Y_M[1] + 3.0
    for x1, x2 in ((-EDGE_M - 4, EDGE_M + 4), (-EDGE_M, EDGE_M)):
        colour = PAVEMENT if x1 < -EDGE_M else ROAD
        _flat(image, view, x1, x2, 1.5, 400.0, colour)
    _flat(image, view, -300, 300, low - 2.5, top + 2.5, PAVEMENT)
    _flat(image, view, -300, 300, low, top, ROAD)
    _flat(image, view, -EDGE_M, EDGE_M, low - 3, top + 3, ROAD)
    for x in (-3.5, 3.5):
        for y in np.arange(2.0, 120.0, 9.0):
            if not low - 4 < y < top + 6:
                _flat(image, view, x - 0.07, x + 0.07, y, y + 4, LINE)
    for x in (-0.12, 0.12, -6.95, 6.95):
        for a, b in ((1.5, low - 2), (top + 4, 200.0)):
            _flat(image, view, x - 0.06, x + 0.06, a, b, LINE)
    _flat(image, view, -7.0, -0.2, STOP_IN_Y_M - 0.5, STOP_IN_Y_M, LINE)
    _flat(image, view, 0.2, 7.0, STOP_OUT_Y_M, STOP_OUT_Y_M + 0.4, LINE)
    for x in np.arange(-6.8, 7.0, 1.2):
        _flat(image, view, x, x + 0.6, WALK_Y_M - 1.0, WALK_Y_M + 1.6, LINE)
    _flat(image, view, -STOP_CROSS_X_M - 0.4, -STOP_CROSS_X_M, low, CROSS_Y_M[0] + 1.6, LINE)
    _flat(image, view, STOP_CROSS_X_M, STOP_CROSS_X_M + 0.4, CROSS_Y_M[1] - 1.6, top, LINE)
    for name, x in LANES_X_M.items():
        y = 15.0 if name.startswith("out") else 40.0
        _arrow(image, view, x, y, 1 if name.startswith("out") else -1)
    for _ in range(14):
        x = rng.choice([-1, 1]) * rng.uniform(15, 60)
        _tree(image, view, rng, x, rng.uniform(12, 70))
    coarse = rng.normal(0, 3.0, (max(2, high // 10), max(2, wide // 10), 1)).astype(np.float32)
    image += cv2.resize(coarse, (wide, high))[..., None]
    return np.asarray(np.clip(image * light, 0, 255), np.uint8)


def draw_signals(image: Image, view: RoadView, at_s: float) -> None:
    """The lamps of the signals, as they are at this time."""
    for group, x, y in MASTS:
        spots, far = view.project(np.array([(x, y, 0.0), (x, y, 3.4), (x, y, 2.4)]))
        if far.min() < 1:
            continue
        foot, top, low = (tuple(int(v) for v in spot) for spot in np.round(spots))
        cv2.line(image, foot, top, (60, 60, 60), max(1, round(80 / far[0])))
        size = max(2, round((low[1] - top[1]) / 4))
        box = (top[0] - size, top[1] - size), (top[0] + size, low[1] + size)
        cv2.rectangle(image, *box, (20, 20, 20), -1)
        state = signal(group, at_s)
        step = (low[1] - top[1]) / 2
        for k, name in enumerate(("red", "yellow", "green")):
            colour = LAMPS[name] if state == name else (45, 45, 45)
            cv2.circle(image, (top[0], round(top[1] + k * step)), size, colour, -1, cv2.LINE_AA)


def _flat(
    image: NDArray[np.float32],
    view: RoadView,
    x1: float,
    x2: float,
    y1: float,
    y2: float,
    colour: Colour,
) -> None:
    """A rectangle on the road; long ones in parts, so that none has a corner behind the camera."""
    _polygon(image, view, np.array([(x1, y1, 0), (x2, y1, 0), (x2, y2, 0), (x1, y2, 0)]), colour)


def _polygon(image: NDArray[np.float32], view: RoadView, corners: Floats, colour: Colour) -> None:
    spots, far = view.project(corners.astype(float))
    if far.min() > 0.3:
        fixed = np.round(np.clip(spots, -30000, 30000) * 16).astype(np.int32)
        cv2.fillPoly(image, [fixed], colour, cv2.LINE_AA, 4)


def _arrow(image: NDArray[np.float32], view: RoadView, x: float, y: float, way: int) -> None:
    shaft = [(-0.1, 0), (0.1, 0), (0.1, 2.4), (0.4, 2.4), (0, 4), (-0.4, 2.4), (-0.1, 2.4)]
    points = np.array([(x + a, y + way * b, 0.0) for a, b in shaft])
    _polygon(image, view, points, LINE)


def _house(
    image: NDArray[np.float32], view: RoadView, rng: np.random.Generator, x: float, y: float
) -> None:
    wide, tall = rng.uniform(8, 20), rng.uniform(5, 16)
    tone = float(rng.uniform(90, 200))
    colour = (tone, tone * float(rng.uniform(0.92, 1.05)), tone * float(rng.uniform(0.9, 1.1)))
    wall = np.array([(x, y, 0), (x + wide, y, 0), (x + wide, y, tall), (x, y, tall)])
    _polygon(image, view, wall, colour)
    for a in np.arange(x + 1, x + wide - 1.5, 2.6):
        for z in np.arange(1.2, tall - 1.2, 2.8):
            pane = [(a, y, z), (a + 1.2, y, z), (a + 1.2, y, z + 1.4), (a, y, z + 1.4)]
            _polygon(image, view, np.array(pane), (70, 66, 62))


def _tree(
    image: NDArray[np.float32], view: RoadView, rng: np.random.Generator, x: float, y: float
) -> None:
    spots, far = view.project(np.array([(x, y, 0.0), (x, y, 3.0), (x, y, 5.0)]))
    if far.min() < 3 or np.abs(spots).max() > 20000:
        return
    foot, middle, top = (tuple(int(v) for v in spot) for spot in np.round(spots))
    cv2.line(image, foot, middle, (45, 60, 75), max(1, round(150 / far[0])))
    size = max(2, middle[1] - top[1])
    green = float(rng.uniform(60, 110))
    cv2.ellipse(image, middle, (size, round(size * 1.2)), 0, 0, 360, (50, green, 55), -1)
