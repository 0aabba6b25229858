"""How full the lanes are: vehicles, queue from where one stops, occupancy, window by window."""

from __future__ import annotations

from dataclasses import dataclass, field

from mastra_ros.pipeline.traffic.events import LanePresence, Presence
from mastra_ros.pipeline.traffic.site.site import Lane, Site
from mastra_ros.pipeline.traffic.tracks import TrackView

QUEUE_KMH = 7.0
QUEUE_SIZES_S = 0.25
QUEUE_GAP_M, QUEUE_GAP_SIZES = 16.0, 2.2
"""One further behind than this is not of the queue."""
DETECTOR_SHARE = 0.3
"""The last part of a lane's way, where a detector in the road would lie."""
STOP_NEAR_M, STOP_NEAR_SHARE = 14.0, 0.35
"""The first of a queue stands at most so far from where one stops."""


@dataclass
class _Window:
    frames: int = 0
    held: int = 0
    speeds: list[float] = field(default_factory=list)


class LaneWatch:
    """Tells at the end of each window how the lanes were. A window without frames is not told."""

    def __init__(self, site: Site, window_ms: float) -> None:
        self._site = site
        self._window_ns = round(window_ms * 1e6)
        self._began_ns: int | None = None
        self._windows: dict[str, _Window] = {}
        self._visible = {lane.name: self._length_m(lane) for lane in site.lanes}

    def clear(self) -> None:
        """Begin anew; what was seen of the present window is not told."""
        self._began_ns = None
        self._windows = {}

    def update(
        self, stamp_ns: int, views: list[TrackView], speeds_kmh: dict[int, float | None]
    ) -> list[Presence]:
        if self._began_ns is None or stamp_ns < self._began_ns:
            self._began_ns = stamp_ns
        inside: dict[str, list[TrackView]] = {lane.name: [] for lane in self._site.lanes}
        for view in views:
            lane = None if view.type == "person" else self._site.lane_at(*view.foot)
            if lane is not None:
                inside[lane.name].append(view)
        for lane in self._site.lanes:
            window = self._windows.setdefault(lane.name, _Window())
            window.frames += 1
            window.held += any(
                lane.along(*view.foot) >= 1 - DETECTOR_SHARE for view in inside[lane.name]
            )
            window.speeds += [
                kmh
                for view in inside[lane.name]
                if (kmh := speeds_kmh.get(view.number)) is not None and kmh > QUEUE_KMH
            ]
        if stamp_ns - self._began_ns < self._window_ns:
            return []
        told = Presence(
            stamp_ns,
            (stamp_ns - self._began_ns) / 1e6,
            tuple(self._told(lane, inside[lane.name], speeds_kmh) for lane in self._site.lanes),
        )
        self._began_ns, self._windows = stamp_ns, {}
        return [told]

    def _told(
        self, lane: Lane, views: list[TrackView], speeds_kmh: dict[int, float | None]
    ) -> LanePresence:
        window = self._windows[lane.name]
        queue = self._queue(lane, views, speeds_kmh)
        queue_m = None
        if self._site.homography is not None:
            queue_m = max((self._rear_m(lane, view) for view in queue), default=0.0)
        speeds = window.speeds
        return LanePresence(
            lane.name,
            len(views),
            len(queue),
            queue_m,
            window.held / max(1, window.frames),
            sum(speeds) / len(speeds) if speeds else None,
            self._visible[lane.name],
        )

    def _queue(
        self, lane: Lane, views: list[TrackView], speeds_kmh: dict[int, float | None]
    ) -> list[TrackView]:
        """Those who stand one behind the other, from where one stops on."""
        row: list[TrackView] = []
        for view in sorted(views, key=lambda v: -lane.along(*v.foot)):
            kmh = speeds_kmh.get(view.number)
            slow = view.sizes_s < QUEUE_SIZES_S if kmh is None else kmh < QUEUE_KMH
            if slow and self._follows(lane, row[-1] if row else None, view):
                row.append(view)
            elif row:
                break
        return row

    def _follows(self, lane: Lane, before: TrackView | None, view: TrackView) -> bool:
        homography = self._site.homography
        if before is None:
            if homography is not None:
                return homography.distance_m(lane.way[1], view.foot) < STOP_NEAR_M
            return lane.along(*view.foot) > 1 - STOP_NEAR_SHARE
        if homography is not None:
            return homography.distance_m(before.foot, view.foot) < QUEUE_GAP_M
        apart = abs(before.foot[0] - view.foot[0]) + abs(before.foot[1] - view.foot[1])
        return apart < QUEUE_GAP_SIZES * max(view.height_px, view.width_px)

    def _rear_m(self, lane: Lane, view: TrackView) -> float:
        """From where one stops to this one, along the road; below 10 km, as events want it."""
        assert self._site.homography is not None
        far = self._site.homography.distance_m(lane.way[1], view.foot)
        return far if far < 9999 else 9999.0

    def _length_m(self, lane: Lane) -> float | None:
        if self._site.homography is None:
            return None
        far = self._site.homography.distance_m(*lane.way)
        return far if 0 <= far < 9999 else None
