"""What a report says: measurements with their uncertainty, and how they came about."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np

from mastra_ros.errors import VolumeError
from mastra_ros.pipeline.volume.structures import Structure

BORDER_MM = 0.065
"""Standard uncertainty of where a border lies, with poses free of noise."""
BORDER_OF_JITTER = 0.06
"""And its part of the noise of the poses."""
CENTRE_MM = 0.06
CENTRE_OF_JITTER = 0.2
COVERAGE_FACTOR = 2.0
"""Expanded uncertainties are told: 95 of 100 lie within. Measured on drawn phantoms by
`python -m bench.ultrasound`; what a calibration is off by comes on top."""


@dataclass(frozen=True)
class Measured:
    """One structure. Every uncertainty is an expanded one, k = 2."""

    name: str
    kind: str
    volume_ml: float
    volume_uncertainty_ml: float
    axes_mm: tuple[float, float, float]
    directions: tuple[tuple[float, float, float], ...]
    axis_uncertainty_mm: float
    centre_mm: tuple[float, float, float]
    centre_uncertainty_mm: float
    gray: float
    around: float
    whole: bool


@dataclass(frozen=True)
class Report:
    """All that is told. Raises VolumeError where it makes no sense.

    identity: tells one report from all others, as device, stream and sweep. subject: a pseudonym,
    empty where none is known. began_ns, ended_ns: stamps of the first and last frame, since 1970;
    made_ns: of the report. notes: what a reader must know, as frames that are missing.
    swept_ml: the volume of all that was swept.
    """

    identity: tuple[str, ...]
    subject: str
    began_ns: int
    ended_ns: int
    made_ns: int
    frames: int
    missing: int
    spacing_mm: tuple[float, float, float]
    size: tuple[int, int, int]
    compounding: str
    distribution: str
    calibration: str
    covered: float
    jitter_mm: float
    measured: tuple[Measured, ...]
    notes: tuple[str, ...] = ()
    refused: tuple[tuple[str, int], ...] = ()
    swept_ml: float = 0.0

    def __post_init__(self) -> None:
        if not self.identity or not 0 <= self.began_ns <= self.ended_ns:
            raise VolumeError(
                "report: expected an identity, and an end that is not before its begin"
            )

    @property
    def key(self) -> str:
        """The identity as 32 hexadecimal digits."""
        return hashlib.sha256("\0".join(self.identity).encode()).hexdigest()[:32]


def measure(found: Sequence[Structure], jitter_mm: float) -> tuple[Measured, ...]:
    """Measurements of structures, in their order."""
    border = COVERAGE_FACTOR * float(np.hypot(BORDER_MM, BORDER_OF_JITTER * jitter_mm))
    centre = COVERAGE_FACTOR * float(np.hypot(CENTRE_MM, CENTRE_OF_JITTER * jitter_mm))
    return tuple(
        Measured(
            f"structure {number}",
            one.kind,
            one.volume_ml,
            one.area_mm2 * border / 1000.0,
            one.axes_mm,
            one.directions,
            2.0 * border,
            one.centre_mm,
            centre,
            one.gray,
            one.around,
            one.whole,
        )
        for number, one in enumerate(found, start=1)
    )


def when(stamp_ns: int) -> datetime:
    """A stamp as a time in UTC, to the millisecond."""
    seconds, rest = divmod(stamp_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.replace(microsecond=rest // 1_000_000 * 1000)
