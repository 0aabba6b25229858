"""Boxes that drive over a picture, for the tests of tracks and counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from mastra_ros.pipeline.traffic.events import TYPES
from mastra_ros.pipeline.traffic.site.file import site_of
from mastra_ros.pipeline.traffic.site.site import Site
from mastra_ros.types import Detections

Box = tuple[float, float, float, float]


def site(**more: object) -> Site:
    """Two lanes downwards, one upwards, a line across."""
    lanes = [
        {
            "name": name,
            "polygon": [[x, 0], [x + 200, 0], [x + 200, 360], [x, 360]],
            "way": [[x + 100, 10], [x + 100, 350]] if way else [[x + 100, 350], [x + 100, 10]],
        }
        for name, x, way in (("one", 0, True), ("two", 201, True), ("back", 402, False))
    ]
    lines = [
        {"name": "l", "points": [[0, 200], [640, 200]], "directions": {"down": "in", "up": "out"}}
    ]
    return site_of(
        {
            "format": 1,
            "picture": {"width_px": 640, "height_px": 360},
            "lanes": lanes,
            "lines": lines,
            **more,
        }
    )


def found(boxes: Iterable[Box], kind: str = "car", score: float = 0.8) -> Detections:
    """A frame with these boxes."""
    some = np.array(list(boxes), np.float32).reshape(-1, 4)
    return Detections(
        some,
        np.full(len(some), score, np.float32),
        np.full(len(some), TYPES.index(kind), np.int32),
        TYPES,
    )


def down(x: float, start_y: float, px_s: float) -> Callable[[float], Box]:
    """A car 60 px wide whose middle is at start_y + px_s * t."""

    def at(t_s: float) -> Box:
        y = start_y + px_s * t_s
        return x - 30, y - 25, x + 30, y + 25

    return at
