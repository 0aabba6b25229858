"""Holds masks along tracks: what was found stays hidden where it must be now.

A detector misses a face now and then in the midst of a video. Each track goes on as it last
moved, and grows a little with every frame in which nothing was found on it, since where it is
then is less sure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .region import Region

SAME_IOU = 0.1
"""From this overlap on, a region is that of the track; a small face moves by its own width."""
GROWTH = 0.15
"""A held mask grows by this share of its size a frame."""
SPEED_SMOOTHING = 0.5


@dataclass
class _Track:
    """One thing that is followed: `region` is where it was found last, or should be now."""

    region: Region
    moved_x: float = 0.0  # px a frame
    moved_y: float = 0.0
    missed: int = 0
    seen: int = 1
    last: Region = field(init=False)  # where it was found last

    def __post_init__(self) -> None:
        self.last = self.region

    def expected(self) -> Region:
        r = self.region
        return Region(r.x + self.moved_x, r.y + self.moved_y, r.width, r.height, r.kind, r.score)

    def found(self, region: Region) -> None:
        frames = self.missed + 1
        was = self.last
        step_x = (region.x + region.width / 2 - was.x - was.width / 2) / frames
        step_y = (region.y + region.height / 2 - was.y - was.height / 2) / frames
        keep = SPEED_SMOOTHING if self.seen > 1 else 0.0
        self.moved_x = keep * self.moved_x + (1 - keep) * step_x
        self.moved_y = keep * self.moved_y + (1 - keep) * step_y
        self.region = self.last = region
        self.missed = 0
        self.seen += 1


class Tracks:
    """The tracks of one stream. `hold_frames`: how long each is held without being found."""

    def __init__(self, hold_frames: int) -> None:
        self._hold_frames = hold_frames
        self._tracks: list[_Track] = []

    @property
    def held(self) -> list[Region]:
        """The masks of tracks on which nothing was found in the newest frame."""
        return [t.region.widened(GROWTH * t.missed) for t in self._tracks if t.missed]

    @property
    def now(self) -> list[Region]:
        """All masks, found and held, as of the newest frame."""
        return [t.region.widened(GROWTH * t.missed) for t in self._tracks]

    def advance(self, found: Sequence[Region]) -> list[Region]:
        """The next frame's regions -> all that has to be hidden in it."""
        expected = [track.expected() for track in self._tracks]
        pairs = sorted(
            (
                (place.iou(region), index, number)
                for index, place in enumerate(expected)
                for number, region in enumerate(found)
                if place.kind == region.kind and place.iou(region) >= SAME_IOU
            ),
            reverse=True,
        )
        tracked: set[int] = set()
        taken: set[int] = set()
        for _, index, number in pairs:
            if index not in tracked and number not in taken:
                tracked.add(index)
                taken.add(number)
                self._tracks[index].found(found[number])
        for index, track in enumerate(self._tracks):
            if index not in tracked:
                track.region = expected[index]
                track.missed += 1
        self._tracks = [t for t in self._tracks if t.missed <= self._hold_frames]
        if self._hold_frames:
            fresh = [region for number, region in enumerate(found) if number not in taken]
            self._tracks += [_Track(region) for region in fresh]
        return [*found, *self.held]

    def forget(self) -> None:
        """Begin anew, as with pictures of another size."""
        self._tracks.clear()
