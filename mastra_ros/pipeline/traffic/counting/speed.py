"""How fast tracks are on the road: from where their wheels were, by the homography."""

from __future__ import annotations

from collections import deque

import numpy as np

from mastra_ros.pipeline.traffic.site.homography import Homography
from mastra_ros.pipeline.traffic.tracks import TrackView

SPAN_S = 0.9
SPAN_LEAST_S = 0.3
FASTEST_KMH = 250.0


class Speeds:
    """Speed by the places of the last second: a straight line through them by least squares."""

    def __init__(self, homography: Homography | None) -> None:
        self._homography = homography
        self._places: dict[int, deque[tuple[int, float, float]]] = {}

    def clear(self) -> None:
        self._places = {}

    def forget(self, numbers: set[int]) -> None:
        self._places = {n: one for n, one in self._places.items() if n in numbers}

    def update(
        self, views: list[TrackView], width_px: int, height_px: int
    ) -> dict[int, float | None]:
        """Speed in km/h by the number of the track; None where it is not known."""
        if self._homography is None:
            return {view.number: None for view in views}
        for view in views:
            cut = view.box[3] >= height_px - 2 or view.box[0] <= 1 or view.box[2] >= width_px - 2
            if not view.found or cut:
                continue  # where its wheels are is not seen
            place = self._homography.to_road(np.array([view.foot]))[0]
            if np.isfinite(place).all():
                kept = self._places.setdefault(view.number, deque())
                kept.append((view.stamp_ns, float(place[0]), float(place[1])))
                while kept[0][0] < view.stamp_ns - SPAN_S * 1e9:
                    kept.popleft()
        return {view.number: self._of(view.number) for view in views}

    def _of(self, number: int) -> float | None:
        kept = self._places.get(number)
        if kept is None or len(kept) < 3 or kept[-1][0] - kept[0][0] < SPAN_LEAST_S * 1e9:
            return None
        times = np.array([k[0] - kept[0][0] for k in kept]) / 1e9
        places = np.array([k[1:] for k in kept])
        apart = times - times.mean()
        slope = (apart[:, None] * places).sum(0) / (apart**2).sum()
        kmh = float(np.hypot(*slope)) * 3.6
        return kmh if kmh <= FASTEST_KMH else None
