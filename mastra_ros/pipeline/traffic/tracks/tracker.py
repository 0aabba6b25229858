"""Follows boxes from frame to frame, after ByteTrack (Zhang et al., 2022).

What is found with a good score is given to the tracks first, then what is left of low score keeps
alive those that were not found: a vehicle half behind another one. Frames may come at 5 to 30 a
second, and some not at all: all is reckoned by their stamps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mastra_ros.types import Detections

from .cleaning import Found, cleaned
from .kalman import BoxFilter
from .matching import assign, grown, overlaps
from .track import Track, TrackView
from .usual import UsualMotion
from .weak import WeakTraces

Floats = NDArray[np.float64]


SETTLED_HITS = 3
"""From here on its speed is its own; before, that of those who were there before it."""
FAR_MOST_SIZES = 0.7
"""What is further than this from where one is expected is another one, such as that behind it."""


@dataclass(frozen=True)
class TrackerOptions:
    """When something is followed, and for how long without being found."""

    high_score: float = 0.35
    low_score: float = 0.12
    new_score: float = 0.4
    hits: int = 2  # frames that must have it before it is one
    age_ms: float = 90.0  # and so long it must have been there
    fresh_ms: float = 150.0  # what is not one yet is given up after so long without being found
    keep_ms: float = 1500.0
    expect_ms: float = 450.0  # for so long it is told of where it is expected, not found
    gap_ms: float = 3000.0  # after so long without a frame, all begin anew


class Tracker:
    """Tracks of one camera. Numbers count from 1 and never come again. Not for two threads."""

    def __init__(self, options: TrackerOptions | None = None) -> None:
        self._options = options or TrackerOptions()
        self._tracks: list[Track] = []
        self._last_ns: int | None = None
        self._count = 0
        self._size_px: tuple[int, int] | None = None
        self._usual = UsualMotion()
        self._weak = WeakTraces()

    def clear(self) -> None:
        """Forget all, as after a cut; numbers go on."""
        self._tracks = []
        self._last_ns = None
        self._weak.clear()

    def update(
        self, stamp_ns: int, detections: Detections, size_px: tuple[int, int] | None = None
    ) -> list[TrackView]:
        """Take in what was found in a frame of this width and height; what is followed in it.

        Stamps must grow, or all begin anew.
        """
        found = cleaned(detections)
        self._size_px = size_px
        o = self._options
        last, self._last_ns = self._last_ns, stamp_ns
        dt = 0.0 if last is None else (stamp_ns - last) / 1e9
        if last is not None and (dt <= 0 or dt * 1e3 > o.gap_ms):
            self._tracks = []
            self._weak.clear()
            dt = 0.0
        for track in self._tracks:
            track.filter.predict(dt)
        high = np.flatnonzero(found.scores >= o.high_score)
        low = np.flatnonzero((found.scores < o.high_score) & (found.scores >= o.low_score))
        confirmed = [t for t in self._tracks if t.number]
        fresh = [t for t in self._tracks if not t.number]
        left_tracks, left_high = self._match(confirmed, found, high, stamp_ns, most=0.85)
        lately = [t for t in left_tracks if stamp_ns - t.seen_ns < (dt + 0.5) * 1e9]
        _, left_low = self._match(lately, found, low, stamp_ns, most=0.6)
        fresh, left_high = self._match(fresh, found, left_high, stamp_ns, most=0.85)
        _, left_low = self._match(fresh, found, left_low, stamp_ns, most=0.6)
        self._weak.note(stamp_ns, found.boxes[left_low])
        for k in left_high:
            if found.scores[k] >= o.new_score:
                self._begin(found, int(k), stamp_ns)
        self._tracks = [t for t in self._tracks if self._lives(t, stamp_ns)]
        self._drop_doubles(stamp_ns)
        views = []
        for track in self._tracks:
            here = track.seen_ns == stamp_ns
            if track.number and not here:
                track.remember(stamp_ns)
            if track.number and (stamp_ns - track.seen_ns) / 1e6 <= o.expect_ms:
                views.append(track.view(stamp_ns, here))
        return views

    def _match(
        self,
        tracks: list[Track],
        found: Found,
        which: NDArray[np.intp],
        stamp_ns: int,
        most: float,
    ) -> tuple[list[Track], NDArray[np.intp]]:
        """Give boxes to tracks; what is left of both."""
        if not tracks or not len(which):
            return tracks, which
        expected = np.stack([track.filter.ahead(0.0) for track in tracks])
        if self._size_px is not None:
            # Of what leaves, only what is still in the picture can be found.
            wide, high = self._size_px
            expected = np.clip(expected, 0, [wide, high, wide, high])
        # Where frames are far apart, or it was not seen for a while, it may be further away.
        away_s = np.array([(stamp_ns - t.seen_ns) / 1e9 for t in tracks])
        young = np.array([t.hits < 3 for t in tracks])
        reach = np.clip(0.15 + 0.6 * away_s + 1.0 * away_s * young, 0.15, 0.8)
        boxes = found.boxes[which]
        size = np.sqrt(np.maximum(1.0, (expected[:, 2:] - expected[:, :2]).prod(1)))
        shared = np.stack(
            [
                overlaps(grown(expected[k : k + 1], reach[k]), grown(boxes, reach[k]))[0]
                for k in range(len(tracks))
            ]
        )
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        unlike = np.abs(np.log(np.maximum(areas, 1.0)[None] / (size**2)[:, None]))
        cost = 1 - shared + 0.08 * unlike
        cost = np.where(self._far(tracks, expected, boxes), 9.0, cost)
        person = np.array([t.type == "person" for t in tracks])[:, None]
        other = np.array([found.types[k] == "person" for k in which])[None]
        cost = cost + 0.5 * (person != other)
        pairs = assign(cost, most)
        for row, column in pairs:
            k = int(which[column])
            track = tracks[row]
            track.filter.update(found.boxes[k], trust=min(1.0, 0.3 + float(found.scores[k])))
            track.hits += 1
            track.note(stamp_ns, found.types[k], float(found.scores[k]))
            if track.hits > SETTLED_HITS:
                self._usual.note(track.filter, found.types[k])
            old = (stamp_ns - track.born_ns) / 1e6 >= self._options.age_ms
            if not track.number and old and track.hits >= self._options.hits:
                self._count += 1
                track.number = self._count
                self._weak.lengthen(track)
        rows, columns = {r for r, _ in pairs}, {c for _, c in pairs}
        return (
            [t for k, t in enumerate(tracks) if k not in rows],
            np.array([w for k, w in enumerate(which) if k not in columns], dtype=np.intp),
        )

    @staticmethod
    def _far(tracks: list[Track], expected: Floats, boxes: Floats) -> NDArray[np.bool_]:
        """(tracks, boxes): too far from where it must be, by how sure that is, in its sizes."""
        size = np.maximum(expected[:, 2:] - expected[:, :2], 4.0)
        middle = (expected[:, :2] + expected[:, 2:]) / 2
        theirs = (boxes[:, :2] + boxes[:, 2:]) / 2
        apart = np.abs(theirs[None] - middle[:, None]) / size[:, None]
        spread = np.sqrt([t.filter.p00 for t in tracks])
        unsure = np.array([t.hits <= SETTLED_HITS for t in tracks]) * 0.25
        most = np.minimum(0.3 + unsure + 3.5 * spread, FAR_MOST_SIZES)
        return np.asarray(apart.max(2) > most[:, None])

    def _begin(self, found: Found, k: int, stamp_ns: int) -> None:
        filter_ = BoxFilter.of(found.boxes[k])
        self._usual.lead(filter_, found.types[k])
        track = Track(filter_, stamp_ns, stamp_ns)
        track.note(stamp_ns, found.types[k], float(found.scores[k]))
        self._tracks.append(track)

    def _lives(self, track: Track, stamp_ns: int) -> bool:
        lost_ms = (stamp_ns - track.seen_ns) / 1e6
        # One that was seen once and not again was nothing.
        return lost_ms <= (self._options.keep_ms if track.number else self._options.fresh_ms)

    def _drop_doubles(self, stamp_ns: int) -> None:
        """Of two tracks in one place the younger goes; one that was not found before the other."""
        if len(self._tracks) < 2:
            return
        boxes = np.stack([track.filter.ahead(0.0) for track in self._tracks])
        shared = overlaps(boxes, boxes)
        gone: set[int] = set()
        for a in range(len(self._tracks)):
            for b in range(a + 1, len(self._tracks)):
                if shared[a, b] > 0.75 and not {a, b} & gone:
                    first, second = self._tracks[a], self._tracks[b]
                    if (first.type == "person") != (second.type == "person"):
                        continue
                    worse = a if self._rank(first, stamp_ns) < self._rank(second, stamp_ns) else b
                    gone.add(worse)
        self._tracks = [t for k, t in enumerate(self._tracks) if k not in gone]

    @staticmethod
    def _rank(track: Track, stamp_ns: int) -> tuple[bool, bool, int]:
        return bool(track.number), track.seen_ns == stamp_ns, -track.born_ns
