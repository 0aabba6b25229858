"""Makes a sweep out of pictures and poses: each picture gets its pose, or a reason why it has none.

Pure: pictures and poses come in, frames with their places and events of sweeps go out. A picture
waits for the pose after it, never for anything else.

    off    nothing is told
    auto   a sweep begins with the first picture that has a pose, and ends when none has had one
           for `idle_ms`, or when the source ends
    on     one sweep, until it is off again
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mastra_ros.pipeline.ultrasound.calibration import Calibration
from mastra_ros.pipeline.ultrasound.poses import WAITING, PoseLimits, PoseTrack
from mastra_ros.pipeline.ultrasound.region import Region
from mastra_ros.pipeline.ultrasound.rigid import Matrix
from mastra_ros.pipeline.ultrasound.sweep import SEQUENCE_MAX, SweepBegin, SweepEnd, TrackedFrame

P = TypeVar("P")
MODES = ("off", "auto", "on")
PICTURES_MAX = 256
"""Pictures that may wait for their pose; a tracker that is further behind is no tracker."""
LATE = "no pose in time"
UNKNOWN_SIZE = "another size"


@dataclass(frozen=True)
class Told(Generic[P]):
    """A frame of a sweep, and the picture that it was made of."""

    frame: TrackedFrame
    picture: P


Step = SweepBegin | SweepEnd | Told[P]


class SweepRecorder(Generic[P]):
    """One a stream. name: what the next sweep is called, asked once a sweep."""

    def __init__(
        self,
        calibration: Calibration,
        name: Callable[[], str],
        *,
        lag_ms: float = 0.0,
        limits: PoseLimits | None = None,
        idle_ms: float = 2000.0,
    ) -> None:
        self._calibration = calibration
        self._name = name
        self._lag_ns = round(lag_ms * 1e6)
        self._lag_ms = lag_ms
        self._limits = limits or PoseLimits()
        self._idle_ns = round(idle_ms * 1e6)
        self._mode = "off"
        self._waiting: deque[tuple[int, tuple[int, int], P]] = deque()
        self._sweep = ""
        self._size = (0, 0)  # width and height of the sweep's pictures
        self._sequence = 0
        self._last_ns = 0  # stamp of the last frame that was told
        self._refused_before: Counter[str] = Counter()
        self.track = PoseTrack(self._limits)
        self.pictures = 0
        self.told = 0  # of all sweeps
        self.sweeps = 0
        self.refused: Counter[str] = Counter()  # pictures, by reason

    @property
    def lag_ms(self) -> float:
        """By how much pictures are taken to be late."""
        return self._lag_ms

    @property
    def sweep(self) -> str:
        """The sweep that goes on; empty: none."""
        return self._sweep

    @property
    def sequence(self) -> int:
        """Number of the last frame of the sweep that goes on, or of the last one."""
        return self._sequence

    @property
    def waiting(self) -> int:
        """Pictures that wait for the pose after them."""
        return len(self._waiting)

    @property
    def tracked(self) -> bool:
        """Whether poses have come lately: not older than may be, seen from the newest picture."""
        newest_ns = self.track.newest_ns
        if newest_ns is None:
            return False
        wait_ns = self._limits.wait_max_ms * 1e6
        return not self._waiting or self._waiting[-1][0] - self._lag_ns - newest_ns < wait_ns

    def on_pose(self, stamp_ns: int, matrix: Matrix | None) -> list[Step[P]]:
        """A pose has come."""
        self.track.add(stamp_ns, matrix)
        return self._settle()

    def on_picture(self, stamp_ns: int, size: tuple[int, int], picture: P) -> list[Step[P]]:
        """A picture has come; size: width and height, px."""
        self.pictures += 1
        if self._mode == "off":
            return []
        if self._waiting and stamp_ns < self._waiting[-1][0]:
            self.refused["clock jumped back"] += len(self._waiting)
            self._waiting.clear()
        self._waiting.append((stamp_ns, size, picture))
        if len(self._waiting) > PICTURES_MAX:
            self._waiting.popleft()
            self.refused[LATE] += 1
        return self._settle()

    def turn(self, mode: str, stamp_ns: int) -> list[Step[P]]:
        """Switch to off, auto or on."""
        if mode == self._mode:
            return []
        steps = self._end(stamp_ns, "stopped") if mode == "off" else []
        if mode == "off":
            self._waiting.clear()
        self._mode = mode
        return steps

    def finish(self, stamp_ns: int, reason: str = "source ended") -> list[Step[P]]:
        """No more comes: what waits still has no pose, and a sweep is over."""
        steps = self._settle()
        if self._waiting:
            self.refused[LATE] += len(self._waiting)
            self._waiting.clear()
        return steps + self._end(stamp_ns, reason)

    def _settle(self) -> list[Step[P]]:
        steps: list[Step[P]] = []
        while self._waiting:
            stamp_ns, size, picture = self._waiting[0]
            at_ns = stamp_ns - self._lag_ns
            pose, why = self.track.at(at_ns)
            if pose is None and why == WAITING:
                newest_ns = self._waiting[-1][0] - self._lag_ns
                if newest_ns - at_ns <= self._limits.wait_max_ms * 1e6:
                    break
                why = LATE
            self._waiting.popleft()
            if pose is None:
                self.refused[why] += 1
                steps += self._idle(stamp_ns)
                continue
            steps += self._tell(stamp_ns, size, picture, pose)
        return steps

    def _tell(
        self, stamp_ns: int, size: tuple[int, int], picture: P, pose: Matrix
    ) -> list[Step[P]]:
        steps = self._idle(stamp_ns)
        if size != (self._size if self._sweep else self._calibration.size_px or size):
            self.refused[UNKNOWN_SIZE] += 1
            return steps
        if self._sequence >= SEQUENCE_MAX:
            steps += self._end(stamp_ns, "full")
        if not self._sweep:
            steps.append(self._begin(stamp_ns, size))
        self._sequence += 1
        self._last_ns = stamp_ns
        self.told += 1
        matrix = pose @ self._calibration.matrix
        frame = TrackedFrame(
            self._sweep,
            self._sequence,
            stamp_ns,
            tuple(matrix.ravel().tolist()),
            self._calibration.digest,
            self._calibration.spacing_mm,
            self._region(size),
        )
        return [*steps, Told(frame, picture)]

    def _region(self, size: tuple[int, int]) -> Region:
        return self._calibration.region or Region((0, 0, *size))

    def _begin(self, stamp_ns: int, size: tuple[int, int]) -> SweepBegin:
        self._sweep, self._size, self._sequence = self._name(), size, 0
        self._refused_before = self.refused + self._pose_refusals()
        self.sweeps += 1
        return SweepBegin(
            self._sweep,
            stamp_ns,
            *size,
            self._calibration.digest,
            self._calibration.spacing_mm,
            self._region(size),
            self._lag_ms,
        )

    def _idle(self, stamp_ns: int) -> list[Step[P]]:
        """In the mode auto, a sweep is over when no picture has had a pose for long."""
        away_ns = abs(stamp_ns - self._last_ns)
        if self._mode == "auto" and self._sweep and away_ns > self._idle_ns:
            return self._end(self._last_ns, "idle")
        return []

    def _end(self, stamp_ns: int, reason: str) -> list[Step[P]]:
        if not self._sweep:
            return []
        refused = self.refused + self._pose_refusals()
        refused.subtract(self._refused_before)
        counts = {name: count for name, count in refused.items() if count > 0}
        end = SweepEnd(self._sweep, stamp_ns, self._sequence, reason, counts)
        self._sweep = ""
        return [end]

    def _pose_refusals(self) -> Counter[str]:
        return Counter({f"pose: {name}": count for name, count in self.track.refused.items()})
