"""Draws tracks, lanes, counts and the phase on a picture."""

from __future__ import annotations

from collections import Counter
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mastra_ros.pipeline.traffic.junction.guard import Shown
from mastra_ros.pipeline.traffic.site.draw import draw_site
from mastra_ros.pipeline.traffic.tracks import TrackView

from .device import TrafficDevice

Image = NDArray[Any]
COLOURS = {
    "car": (80, 220, 80),
    "van": (220, 220, 60),
    "truck": (60, 90, 240),
    "bus": (230, 90, 230),
    "motorcycle": (60, 230, 240),
    "bicycle": (240, 140, 60),
    "person": (240, 240, 240),
}


def draw_traffic(
    image: Image, device: TrafficDevice, views: list[TrackView], shown: Shown | None
) -> Image:
    """A copy of the picture, blue, green, red, with all of it."""
    drawn = image.copy() if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    drawn = draw_site(drawn, device.site, names=False)
    for view in views:
        colour = COLOURS[view.type]
        a = (round(float(view.box[0])), round(float(view.box[1])))
        b = (round(float(view.box[2])), round(float(view.box[3])))
        cv2.rectangle(drawn, a, b, colour, 2 if view.found else 1)
        kmh = device.speeds_kmh.get(view.number)
        text = f"{view.number} {view.type}" + ("" if kmh is None else f" {kmh:.0f} km/h")
        _write(drawn, text, (a[0], a[1] - 4), colour)
    lanes: Counter[str] = Counter()
    for (_, lane, direction, _), count in device.counts.items():
        lanes[f"{lane or 'no lane'} {direction}"] += count
    lines = [f"{name}: {count}" for name, count in sorted(lanes.items())]
    if device.watch.state != "sees":
        lines.insert(0, f"camera: {device.watch.state}")
    if shown is not None:
        colour_now = "green" if shown.green else "yellow, then green"
        lines.insert(0, f"{shown.phase}: {colour_now}, by {shown.by}")
    for k, line in enumerate(lines):
        _write(drawn, line, (6, 16 + 15 * k), (255, 255, 255))
    return np.asarray(drawn, np.uint8)


def _write(image: Image, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(image, text, at, font, 0.42, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(image, text, at, font, 0.42, colour, 1, cv2.LINE_AA)
