"""What a person has drawn over a camera's picture: lanes, lines, zones, and known points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from .homography import Homography
from .polygon import Point, contains

Floats = NDArray[np.float64]

ANCHORS = ("middle", "foot")
"""Which point of a box crosses a line: its middle, or the middle of its lower side."""
USES = ("turning", "stopping", "ignore")
"""Of zones. turning: an origin and destination; stopping: where none may stand; ignore: nothing
that is there is followed, such as parked cars or a picture of a car."""


@dataclass(frozen=True)
class Lane:
    """A lane: its polygon in px, and the way along it; at the end of the way one stops."""

    name: str
    polygon: tuple[Point, ...]
    way: tuple[Point, Point]

    @cached_property
    def outline(self) -> Floats:
        return np.array(self.polygon, np.float64)

    @cached_property
    def ahead(self) -> Floats:
        """The direction of travel in px, of length 1."""
        step = np.array(self.way[1]) - np.array(self.way[0])
        return np.asarray(step / np.linalg.norm(step))

    def holds(self, x: float, y: float) -> bool:
        return contains(self.outline, x, y)

    def beyond_px(self, x: float, y: float) -> float:
        """How far outside of it a point is; below 0 inside."""
        return -float(
            cv2.pointPolygonTest(self.outline.astype(np.float32), (float(x), float(y)), True)
        )

    def along(self, x: float, y: float) -> float:
        """How far along its way a point is: 0 at the beginning, 1 where one stops."""
        start, end = (np.array(point) for point in self.way)
        return float(
            np.dot(np.array((x, y)) - start, end - start) / np.dot(end - start, end - start)
        )


@dataclass(frozen=True)
class Line:
    """A line to count at. `forward` is the name of the way from its left to its right, as seen by
    who stands at `start` and looks to `end`; in a picture a line drawn from left to right is
    crossed forward by who goes down. wrong: the one of both that nobody may take; empty: none.
    """

    name: str
    start: Point
    end: Point
    forward: str
    backward: str
    wrong: str = ""

    def distance_px(self, x: float, y: float) -> float:
        """From the line to the point; above 0 where one comes to by going forward."""
        (ax, ay), (bx, by) = self.start, self.end
        return ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / float(np.hypot(bx - ax, by - ay))

    def along(self, x: float, y: float) -> float:
        """The share of the line at which the point stands beside it; outside 0 to 1: beyond it."""
        (ax, ay), (bx, by) = self.start, self.end
        return ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)


@dataclass(frozen=True)
class Zone:
    """A zone of the picture; stopped_s: how long one may stand in one for `stopping`."""

    name: str
    polygon: tuple[Point, ...]
    use: str
    stopped_s: float = 10.0

    @cached_property
    def outline(self) -> Floats:
        return np.array(self.polygon, np.float64)

    def holds(self, x: float, y: float) -> bool:
        return contains(self.outline, x, y)


@dataclass(frozen=True)
class Site:
    """All of it, in px of a picture of this size; `scaled` makes it fit another one."""

    width_px: int
    height_px: int
    lanes: tuple[Lane, ...] = ()
    lines: tuple[Line, ...] = ()
    zones: tuple[Zone, ...] = ()
    homography: Homography | None = None
    anchor: str = "middle"

    def lane_at(self, x: float, y: float) -> Lane | None:
        """The lane that holds this point, or None."""
        return next((lane for lane in self.lanes if lane.holds(x, y)), None)

    def lane_for(
        self, x: float, y: float, motion: tuple[float, float], reach_px: float
    ) -> Lane | None:
        """The lane of one that is here and moves so: that which holds it.

        Between lanes, or over the edge of one that leads elsewhere, the nearest one in reach that
        leads its way.
        """
        here = self.lane_at(x, y)
        if here is not None and float(np.dot(here.ahead, motion)) > 0:
            return here
        near = [
            (lane.beyond_px(x, y), lane)
            for lane in self.lanes
            if float(np.dot(lane.ahead, motion)) > 0.5 * float(np.hypot(*motion))
        ]
        far, lane = min(near, key=lambda one: one[0], default=(np.inf, None))
        return lane if far <= reach_px else here

    def zones_for(self, use: str) -> tuple[Zone, ...]:
        return tuple(zone for zone in self.zones if zone.use == use)

    def scaled(self, width_px: int, height_px: int) -> Site:
        """The same site on pictures of another size."""
        if (width_px, height_px) == (self.width_px, self.height_px):
            return self
        sx, sy = width_px / self.width_px, height_px / self.height_px

        def moved(points: tuple[Point, ...]) -> tuple[Point, ...]:
            return tuple((x * sx, y * sy) for x, y in points)

        homography = None
        if self.homography is not None:
            shrink = np.diag([1 / sx, 1 / sy, 1.0])
            homography = Homography(self.homography.matrix @ shrink)
        return Site(
            width_px,
            height_px,
            tuple(
                Lane(one.name, moved(one.polygon), (moved(one.way)[0], moved(one.way)[1]))
                for one in self.lanes
            ),
            tuple(
                Line(
                    one.name,
                    moved((one.start,))[0],
                    moved((one.end,))[0],
                    one.forward,
                    one.backward,
                    one.wrong,
                )
                for one in self.lines
            ),
            tuple(Zone(z.name, moved(z.polygon), z.use, z.stopped_s) for z in self.zones),
            homography,
            self.anchor,
        )
