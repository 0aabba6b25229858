"""Draws a site over a picture: lanes with their ways, lines with both directions, zones."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .site import Site

Image = NDArray[Any]
LANE, LINE, ZONE, KNOWN = (90, 200, 250), (60, 60, 250), (250, 160, 60), (240, 240, 240)


def draw_site(image: Image, site: Site, *, names: bool = True) -> Image:
    """A copy of the picture (blue, green, red) with the site, which is brought to its size."""
    high, wide = image.shape[:2]
    site = site.scaled(wide, high)
    drawn = image.copy()
    for lane in site.lanes:
        cv2.polylines(drawn, [np.round(lane.outline).astype(np.int32)], True, LANE, 1, cv2.LINE_AA)
        a, b = (tuple(round(v) for v in point) for point in lane.way)
        cv2.arrowedLine(drawn, a, b, LANE, 1, cv2.LINE_AA, tipLength=0.08)
        if names:
            _name(drawn, lane.name, lane.outline.mean(0), LANE)
    for zone in site.zones:
        cv2.polylines(drawn, [np.round(zone.outline).astype(np.int32)], True, ZONE, 1, cv2.LINE_AA)
        if names:
            _name(drawn, f"{zone.name} ({zone.use})", zone.outline.mean(0), ZONE)
    for line in site.lines:
        a, b = (tuple(round(v) for v in point) for point in (line.start, line.end))
        cv2.line(drawn, a, b, LINE, 2, cv2.LINE_AA)
        if names:
            middle = (np.array(line.start) + np.array(line.end)) / 2
            step = np.array(line.end) - np.array(line.start)
            forward = np.array((-step[1], step[0])) / np.linalg.norm(step)
            for sign, name in ((1, line.forward), (-1, line.backward)):
                tip = middle + sign * 26 * forward
                cv2.arrowedLine(
                    drawn,
                    tuple(np.round(middle).astype(int).tolist()),
                    tuple(np.round(tip).astype(int).tolist()),
                    LINE,
                    1,
                    cv2.LINE_AA,
                    tipLength=0.3,
                )
                wrong = " (nobody may)" if name == line.wrong else ""
                _name(drawn, name + wrong, tip + sign * 10 * forward, LINE)
            _name(drawn, line.name, (line.start[0] + 6, line.start[1] - 6), LINE)
    if site.homography is not None and names:
        _grid(drawn, site)
    return np.asarray(drawn)


def _grid(image: Image, site: Site) -> None:
    """Every ten metres of the road a point, so that one sees whether the known points are right."""
    assert site.homography is not None
    high, wide = image.shape[:2]
    inverse = np.linalg.inv(site.homography.matrix)
    for x in range(-100, 101, 10):
        for y in range(-100, 301, 10):
            spot = inverse @ (x, y, 1.0)
            if spot[2] * inverse[2, 2] <= 0:
                continue
            px, py = spot[:2] / spot[2]
            if 0 <= px < wide and 0 <= py < high:
                cv2.circle(image, (round(px), round(py)), 1, KNOWN, -1)


def _name(image: Image, text: str, at: Any, colour: tuple[int, int, int]) -> None:
    high, wide = image.shape[:2]
    x = int(np.clip(at[0] - 4 * len(text), 2, max(2, wide - 8 * len(text))))
    y = int(np.clip(at[1], 12, high - 4))
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
