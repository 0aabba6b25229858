"""Who drives against the way of a lane: for long enough, and far enough, that it is no flicker."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mastra_ros.pipeline.traffic.site.site import Lane, Site
from mastra_ros.pipeline.traffic.tracks import TrackView

LEAST_SIZES = 1.2
"""It has gone so many of its own sizes against the way."""
LEAST_S = 0.6


@dataclass
class _Against:
    lane: str
    since_ns: int
    x: float
    y: float


class WrongWays:
    """Watches the lanes of a site. Persons walk as they like."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._against: dict[int, _Against] = {}
        self._told: set[int] = set()

    def clear(self) -> None:
        self._against = {}

    def forget(self, numbers: set[int]) -> None:
        self._against = {n: one for n, one in self._against.items() if n in numbers}
        self._told &= numbers

    def update(self, views: list[TrackView]) -> list[tuple[TrackView, Lane]]:
        """Those of whom it is now sure; each track is told once."""
        sure = []
        for view in views:
            if view.type == "person" or view.number in self._told or not view.found:
                continue
            x, y = view.foot
            lane = self._site.lane_at(x, y)
            turned = lane is not None and (
                float(np.dot(view.speed_px_s, lane.ahead)) < -0.5 * np.hypot(*view.speed_px_s)
            )
            if lane is None or not turned or view.sizes_s < 0.15:
                self._against.pop(view.number, None)
                continue
            one = self._against.get(view.number)
            if one is None or one.lane != lane.name:
                self._against[view.number] = _Against(lane.name, view.stamp_ns, x, y)
                continue
            size = max(1.0, (view.width_px * view.height_px) ** 0.5)
            back = float(np.dot((x - one.x, y - one.y), lane.ahead))
            if back < -LEAST_SIZES * size and view.stamp_ns - one.since_ns >= LEAST_S * 1e9:
                self._told.add(view.number)
                sure.append((view, lane))
        return sure
