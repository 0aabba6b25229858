"""What travels of a sweep: its begin and end as records, each frame's place, and feedback.

A sweep is a set of durable frames. Every frame carries all that is needed to put its pixels into a
volume (`TrackedFrame`, in the `meta` of its packet), so frames may come in any order. Feedback
(`SweepFeedback`) comes back as an artefact of the kind `sweep_feedback`, the newest wins.

Lengths are mm, and a pose takes (x, y, 0, 1) in px of the picture to mm in the reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from mastra_ros.artefacts import Artefact
from mastra_ros.errors import RecordError
from mastra_ros.pipeline.ultrasound.region import Region, floats
from mastra_ros.records import Record, check_stamp

SWEEP = "sweep"
"""Kind of the records of begin and end."""
FEEDBACK = "sweep_feedback"
"""Kind of the artefact that tells how the sweep goes; its name is that of the sweep."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,47}")
"""What a sweep may be called."""
SEQUENCE_MAX = 1_000_000
REACH_MM = 1e5
"""No pose lies further than this from the reference."""
REASONS_MAX = 32
FEEDBACK_BYTES_MAX = 65_536

Pose = tuple[float, ...]
"""16 numbers, row by row."""


@dataclass(frozen=True)
class TrackedFrame:
    """Where one frame of a sweep was. Goes into the `meta` of its packet under `ultrasound`.

    sequence: counts from 1 in its sweep, in the order of capture; what is refused has no number.
    stamp_ns: of the picture. pose: image (px) to reference (mm). calibration: digest of the
    calibration that it was made with.
    """

    sweep: str
    sequence: int
    stamp_ns: int
    pose: Pose
    calibration: str
    spacing_mm: tuple[float, float]
    region: Region

    def __post_init__(self) -> None:
        check_name(self.sweep)
        check_count("sequence", self.sequence, 1, SEQUENCE_MAX)
        check_stamp(self.stamp_ns)
        check_pose(self.pose)
        check_digest(self.calibration)
        check_spacing(self.spacing_mm)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The pose as (4, 4)."""
        return np.array(self.pose, np.float64).reshape(4, 4)

    def to_map(self) -> dict[str, Any]:
        """As plain values; numbers keep every bit."""
        return {
            "sweep": self.sweep,
            "sequence": self.sequence,
            "stamp_ns": self.stamp_ns,
            "pose": list(self.pose),
            "calibration": self.calibration,
            "spacing_mm": list(self.spacing_mm),
            "region": self.region.to_map(),
        }

    @classmethod
    def from_map(cls, told: object) -> TrackedFrame:
        """What `to_map` gave. RecordError for all else."""
        values = as_map(told, "tracked frame")
        return cls(
            _get(values, "sweep"),
            _get(values, "sequence"),
            _get(values, "stamp_ns"),
            floats(values.get("pose"), 16, "pose"),
            _get(values, "calibration"),
            _pair(floats(values.get("spacing_mm"), 2, "spacing_mm")),
            Region.from_map(values.get("region")),
        )


@dataclass(frozen=True)
class SweepBegin:
    """A sweep begins. lag_ms: how much later a picture is stamped than the pose that fits it."""

    sweep: str
    stamp_ns: int
    width_px: int
    height_px: int
    calibration: str
    spacing_mm: tuple[float, float]
    region: Region
    lag_ms: float = 0.0

    def __post_init__(self) -> None:
        check_name(self.sweep)
        check_stamp(self.stamp_ns)
        check_count("width_px", self.width_px, 1, 16_384)
        check_count("height_px", self.height_px, 1, 16_384)
        check_digest(self.calibration)
        check_spacing(self.spacing_mm)
        floats([self.lag_ms], 1, "lag_ms")

    def record(self) -> Record:
        """As a record; told twice, it counts once."""
        body = {
            "event": "begin",
            "sweep": self.sweep,
            "width_px": self.width_px,
            "height_px": self.height_px,
            "calibration": self.calibration,
            "spacing_mm": list(self.spacing_mm),
            "region": self.region.to_map(),
            "lag_ms": self.lag_ms,
        }
        return Record(SWEEP, self.stamp_ns, body, f"{self.sweep}-begin")


@dataclass(frozen=True)
class SweepEnd:
    """A sweep is over. frames: how many were told; their numbers have holes where some had to stay.

    refused: pictures and poses that were left out, by reason.
    """

    sweep: str
    stamp_ns: int
    frames: int
    reason: str = "stopped"  # stopped, idle, source ended, full, restarted
    refused: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.sweep)
        check_stamp(self.stamp_ns)
        check_count("frames", self.frames, 0, SEQUENCE_MAX)
        if type(self.reason) is not str or len(self.reason) > 80:
            raise RecordError(f"reason: expected at most 80 letters, got {self.reason!r:.80}")
        if len(self.refused) > REASONS_MAX:
            raise RecordError(f"refused: expected {REASONS_MAX} reasons, got {len(self.refused)}")
        for reason, count in self.refused.items():
            if type(reason) is not str or len(reason) > 80:
                raise RecordError(f"refused: expected a reason, got {reason!r:.80}")
            check_count(f"refused {reason}", count, 0, 2**53)
        object.__setattr__(self, "refused", dict(self.refused))

    def record(self) -> Record:
        """As a record; told twice, it counts once."""
        body = {
            "event": "end",
            "sweep": self.sweep,
            "frames": self.frames,
            "reason": self.reason,
            "refused": dict(self.refused),
        }
        return Record(SWEEP, self.stamp_ns, body, f"{self.sweep}-end")


def sweep_event(stamp_ns: int, body: Mapping[str, Any]) -> SweepBegin | SweepEnd:
    """What a record of the kind `sweep` says. RecordError where it makes no sense."""
    event = body.get("event")
    if event == "begin":
        return SweepBegin(
            _get(body, "sweep"),
            stamp_ns,
            _get(body, "width_px"),
            _get(body, "height_px"),
            _get(body, "calibration"),
            _pair(floats(body.get("spacing_mm"), 2, "spacing_mm")),
            Region.from_map(body.get("region")),
            floats([body.get("lag_ms", 0.0)], 1, "lag_ms")[0],
        )
    if event == "end":
        refused = as_map(body.get("refused", {}), "refused")
        reason = body.get("reason", "stopped")
        return SweepEnd(_get(body, "sweep"), stamp_ns, _get(body, "frames"), reason, refused)
    raise RecordError(f"sweep: expected the event begin or end, got {event!r:.80}")


@dataclass(frozen=True)
class SweepFeedback:
    """How a sweep goes, told by the gateway while it lasts.

    frames: how many are in the volume. speed_mm_s: of the latest frames; NaN is told as -1.
    gaps: places where two neighbouring frames lie too far apart, each (sequence before, sequence
    after, distance in mm), the newest last. covered: share of the voxels in the planned grid's
    swept part that have a value, 0 to 1.
    """

    sweep: str
    frames: int
    speed_mm_s: float = -1.0
    too_fast: bool = False
    gaps: tuple[tuple[int, int, float], ...] = ()
    gaps_total: int = 0
    covered: float = 0.0

    def __post_init__(self) -> None:
        check_name(self.sweep)
        check_count("frames", self.frames, 0, SEQUENCE_MAX)
        check_count("gaps_total", self.gaps_total, len(self.gaps), SEQUENCE_MAX)
        floats([self.speed_mm_s, self.covered], 2, "feedback")
        for gap in self.gaps:
            floats(gap, 3, "gap")

    @property
    def words(self) -> str:
        """For the live picture; empty while all is well."""
        told = []
        if self.too_fast:
            told.append(f"TOO FAST: {self.speed_mm_s:.0f} mm/s")
        if self.gaps_total:
            widest = max((gap[2] for gap in self.gaps), default=0.0)
            told.append(f"{self.gaps_total} GAPS, widest {widest:.1f} mm")
        return "  ".join(told)

    def artefact(self) -> Artefact:
        """As an artefact for the device."""
        data = msgpack.packb(asdict(self))
        return Artefact(FEEDBACK, self.sweep, data, media_type="application/msgpack")

    @classmethod
    def from_bytes(cls, data: bytes) -> SweepFeedback:
        """What `artefact` holds. RecordError for all else."""
        if len(data) > FEEDBACK_BYTES_MAX:
            raise RecordError(
                f"feedback: expected at most {FEEDBACK_BYTES_MAX} bytes, got {len(data)}"
            )
        try:
            values = as_map(msgpack.unpackb(data), "feedback")
        except (ValueError, msgpack.UnpackException) as error:
            raise RecordError(f"feedback: expected msgpack, got {error}") from None
        gaps = values.get("gaps", ())
        if not isinstance(gaps, (list, tuple)):
            raise RecordError(f"gaps: expected a list, got {gaps!r:.80}")
        pairs = [floats(gap, 3, "gap") for gap in gaps]
        return cls(
            _get(values, "sweep"),
            _get(values, "frames"),
            floats([values.get("speed_mm_s", -1.0)], 1, "speed_mm_s")[0],
            values.get("too_fast") is True,
            tuple((int(a), int(b), distance) for a, b, distance in pairs),
            _get(values, "gaps_total"),
            floats([values.get("covered", 0.0)], 1, "covered")[0],
        )


def check_name(name: object) -> None:
    """RecordError unless it may be the name of a sweep."""
    if type(name) is not str or not NAME.fullmatch(name):
        raise RecordError(f"sweep: expected a name ({NAME.pattern}), got {name!r:.80}")


def check_count(name: str, value: object, low: int, high: int) -> None:
    """RecordError unless it is a whole number from `low` to `high`."""
    if type(value) is not int or not low <= value <= high:
        raise RecordError(f"{name}: expected a whole number {low} to {high}, got {value!r:.80}")


def check_digest(digest: object) -> None:
    """RecordError unless it may be the digest of a calibration."""
    if type(digest) is not str or not re.fullmatch(r"[0-9a-f]{8,64}", digest):
        raise RecordError(f"calibration: expected a digest in hexadecimal, got {digest!r:.80}")


def check_spacing(spacing_mm: tuple[float, float]) -> None:
    """RecordError unless a pixel has a size."""
    if len(spacing_mm) != 2 or not all(1e-4 <= side <= 100.0 for side in spacing_mm):
        raise RecordError(f"spacing_mm: expected 0.0001 to 100 mm a pixel, got {spacing_mm}")


def check_pose(pose: Pose) -> None:
    """RecordError unless it takes a plane into space, within reach."""
    values = floats(pose, 16, "pose")
    if values[12:] != (0.0, 0.0, 0.0, 1.0):
        raise RecordError(f"pose: expected the last row 0 0 0 1, got {values[12:]}")
    if max(abs(v) for v in values[:12]) > REACH_MM:
        raise RecordError(f"pose: expected within {REACH_MM:g} mm of the reference, got {values}")
    matrix = np.array(values).reshape(4, 4)
    if np.linalg.norm(np.cross(matrix[:3, 0], matrix[:3, 1])) < 1e-8:
        raise RecordError("pose: expected two ways of the picture that span a plane")


def as_map(told: object, name: str) -> Mapping[str, Any]:
    """RecordError unless it is a map."""
    if not isinstance(told, Mapping):
        raise RecordError(f"{name}: expected a map, got {told!r:.80}")
    return told


def _get(values: Mapping[str, Any], name: str) -> Any:
    if name not in values:
        raise RecordError(f"{name}: missing")
    return values[name]


def _pair(values: tuple[float, ...]) -> tuple[float, float]:
    return values[0], values[1]
