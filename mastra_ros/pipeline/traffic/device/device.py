"""Traffic on the device: takes frames and what was found in them, and tells what happened.

Pure but for the reader of plates, which runs elsewhere: `wanted` names the best views of tracks
whose plates are not known yet, `on_plate` takes what was read there. Not thread-safe.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from mastra_ros.config import TrafficConfig
from mastra_ros.pipeline.traffic.counting.crossings import Crossings, Passed
from mastra_ros.pipeline.traffic.counting.lanes import LaneWatch
from mastra_ros.pipeline.traffic.counting.speed import Speeds
from mastra_ros.pipeline.traffic.counting.wrong_way import WrongWays
from mastra_ros.pipeline.traffic.counting.zones import Standings, Turnings
from mastra_ros.pipeline.traffic.events import CameraState, Crossing, Event, WrongWay
from mastra_ros.pipeline.traffic.plates.formats import formats_of
from mastra_ros.pipeline.traffic.plates.hashing import PlateHasher
from mastra_ros.pipeline.traffic.plates.reading import Reading
from mastra_ros.pipeline.traffic.plates.vote import Votes
from mastra_ros.pipeline.traffic.site.site import Site
from mastra_ros.pipeline.traffic.tracks import Tracker, TrackerOptions, TrackView
from mastra_ros.types import Detections

from .watch import CameraWatch

READS_MOST = 8
"""Readings of one track; more hardly change what it is."""
KEEP_S = 20.0


@dataclass(frozen=True)
class Wanted:
    """A track whose plate should be looked for here; box in px of the frame."""

    track: int
    box: tuple[float, float, float, float]
    worth: float


@dataclass
class _Plate:
    votes: Votes
    asked: int = 0
    best_worth: float = 0.0


class TrafficDevice:
    """One camera over a road."""

    def __init__(self, config: TrafficConfig, site: Site, hasher: PlateHasher | None) -> None:
        self._config = config
        self._drawn = site
        self._site: Site | None = None
        self._hasher = hasher
        self._formats = formats_of(config.plate_formats)
        self._tracker = Tracker(TrackerOptions(new_score=config.score_min))
        self.watch = CameraWatch()
        self.views: list[TrackView] = []
        self.speeds_kmh: dict[int, float | None] = {}
        self.counts: Counter[tuple[str, str, str, str]] = Counter()
        self._plates: dict[int, _Plate] = {}
        self._open: list[tuple[Passed, float | None]] = []
        self._seen: dict[int, int] = {}

    @property
    def site(self) -> Site:
        """As it lies on the pictures that come."""
        return self._site or self._drawn

    @property
    def trusted(self) -> bool:
        """Whether what is told now may be relied on, as by the timing of signals."""
        return self.watch.state in ("sees", "unsure")

    @property
    def occupied(self) -> bool:
        """Whether a vehicle is where none should stop, by the newest frame: within the junction."""
        zones = self.site.zones_for("stopping")
        return any(
            zone.holds(*view.foot) for view in self.views if view.type != "person" for zone in zones
        )

    def configure(self, config: TrafficConfig) -> None:
        """Take over parameters that may change while active."""
        self._config = config

    def on_frame(self, stamp_ns: int, image: NDArray[Any], detections: Detections) -> list[Event]:
        """A frame of 8 bits, and what was found in it; the events that follow, in order."""
        events: list[Event] = []
        high, wide = image.shape[:2]
        self._fit(wide, high)
        look = self.watch.look(stamp_ns, image)
        if look.cut:
            events += self._finish_crossings(None)
            self._begin_anew()
        if look.state:
            events.append(CameraState(stamp_ns, look.state, look.reason[:200]))
            if look.state in ("moved", "blind"):
                self._begin_anew()
        counting = self.trusted
        found = self._without_ignored(detections)
        self.views = self._tracker.update(stamp_ns, found, (wide, high))
        if not counting:
            return events  # lanes no longer lie where they were drawn
        self.speeds_kmh = self._speeds.update(self.views, wide, high)
        for passed in self._crossings.update(self.views):
            self._open.append((passed, self.speeds_kmh.get(passed.view.number)))
        for view, lane in self._wrong_ways.update(self.views):
            events.append(
                WrongWay(
                    stamp_ns, view.number, lane.name, "", view.type, self.speeds_kmh[view.number]
                )
            )
        events += self._turnings.update(self.views)
        events += self._standings.update(stamp_ns, self.views, self.speeds_kmh)
        events += self._finish_crossings(stamp_ns)
        events += self._lanes.update(stamp_ns, self.views, self.speeds_kmh)
        self._forget(stamp_ns)
        return events

    def wanted(self) -> list[Wanted]:
        """Views on which a plate should be looked for, the best first."""
        if self._config.plates == "off":
            return []
        made = []
        for view in self.views:
            if not view.found or view.type in ("person", "bicycle"):
                continue
            plate = self._plates.setdefault(view.number, _Plate(Votes(self._formats)))
            if plate.asked >= READS_MOST:
                continue
            worth = view.width_px * min(1.0, view.score + 0.2)
            # A view hardly larger than those that were read tells nothing new.
            if plate.asked >= 3 and worth < 1.03 * plate.best_worth:
                continue
            x1, y1, x2, y2 = (float(v) for v in view.box)
            made.append(Wanted(view.number, (x1, y1, x2, y2), worth / (1 + plate.asked)))
        return sorted(made, key=lambda one: -one.worth)

    def on_plate(self, track: int, width_px: float, reading: Reading | None) -> None:
        """A plate was looked for on a track: what was read, or None where none was found."""
        plate = self._plates.get(track)
        if plate is None:
            return
        plate.asked += 1
        if reading is not None:
            plate.best_worth = max(plate.best_worth, width_px)
            plate.votes.add(reading, min(1.0, width_px / 120.0))

    def finish(self) -> list[Event]:
        """No more frames come: tell what waits."""
        return self._finish_crossings(None)

    def plate_of(self, track: int) -> tuple[str, float] | None:
        """The text and confidence of a track's plate, if it is known."""
        plate = self._plates.get(track)
        if plate is None:
            return None
        won = plate.votes.winner(self._config.plate_confidence, self._config.plate_reads)
        return None if won is None else (won.text, won.confidence)

    def _fit(self, wide: int, high: int) -> None:
        if self._site is not None and (self._site.width_px, self._site.height_px) == (wide, high):
            return
        site = self._site = self._drawn.scaled(wide, high)
        self._speeds = Speeds(site.homography)
        self._crossings = Crossings(site)
        self._wrong_ways = WrongWays(site)
        self._turnings = Turnings(site)
        self._standings = Standings(site)
        self._lanes = LaneWatch(site, self._config.window_ms)
        self._tracker.clear()

    def _begin_anew(self) -> None:
        self._tracker.clear()
        for part in (
            self._speeds,
            self._crossings,
            self._wrong_ways,
            self._turnings,
            self._standings,
            self._lanes,
        ):
            part.clear()
        self.views = []

    def _without_ignored(self, detections: Detections) -> Detections:
        zones = self.site.zones_for("ignore")
        if not zones or not len(detections):
            return detections
        kept = [
            k
            for k, (x1, y1, x2, y2) in enumerate(detections.boxes.tolist())
            if not any(zone.holds((x1 + x2) / 2, (y1 + y2) / 2) for zone in zones)
        ]
        return Detections(
            detections.boxes[kept],
            detections.scores[kept],
            detections.classes[kept],
            detections.labels,
        )

    def _finish_crossings(self, now_ns: int | None) -> list[Event]:
        """The crossings whose plates have had their time; all of them where now is None."""
        made: list[Event] = []
        waiting = []
        for passed, kmh in self._open:
            left = now_ns is not None and now_ns - passed.stamp_ns < self._config.settle_ms * 1e6
            if left:
                waiting.append((passed, kmh))
                continue
            made.append(self._crossing(passed, kmh))
        self._open = waiting
        return made

    def _crossing(self, passed: Passed, kmh: float | None) -> Event:
        view = passed.view
        if passed.wrong:
            return WrongWay(passed.stamp_ns, view.number, passed.lane, passed.line, view.type, kmh)
        self.counts[passed.line, passed.lane, passed.direction, view.type] += 1
        event = Crossing(
            passed.stamp_ns,
            view.number,
            passed.line,
            passed.lane,
            passed.direction,
            view.type,
            kmh,
        )
        plate = self.plate_of(view.number)
        if plate is None or self._config.plates == "off":
            return event
        text, confidence = plate
        if self._config.plates == "text":
            event = replace(event, plate=text)
        hashed = self._hasher.hash(text, passed.stamp_ns) if self._hasher is not None else None
        return replace(event, plate_hash=hashed, plate_confidence=round(confidence, 3))

    def _forget(self, stamp_ns: int) -> None:
        self._seen.update(dict.fromkeys((view.number for view in self.views), stamp_ns))
        if len(self._seen) < 2 * len(self.views) + 50:
            return
        old = {n for n, seen in self._seen.items() if stamp_ns - seen > KEEP_S * 1e9}
        for number in old:
            del self._seen[number]
            self._plates.pop(number, None)
        self._crossings.forget(stamp_ns)
        for part in (self._speeds, self._wrong_ways, self._turnings):
            part.forget(set(self._seen))
