"""What is doubtful about a calibration or a recording, in words with numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDES_MAX_DEG = 6.0
"""PLUS's own example calibrations have rows and columns 4.5 degrees off a right angle."""
SQUARE_MAX = 0.15
"""Likewise their pixels are 8 % higher than wide."""
SPACING_MM = (0.01, 2.0)


def calibration_problems(matrix: NDArray[np.float64]) -> list[str]:
    """What is wrong with a matrix image (px) to probe (mm): scale, handedness, right angles."""
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        return ["expected a matrix of 16 finite numbers"]
    told = []
    if np.abs(matrix[3] - (0.0, 0.0, 0.0, 1.0)).max() > 1e-9:
        told.append(f"last row: expected 0 0 0 1, got {matrix[3].tolist()}")
    x, y, z = (matrix[:3, i] for i in range(3))
    sides = [float(np.linalg.norm(side)) for side in (x, y, z)]
    low, high = SPACING_MM
    for name, side in zip("xy", sides[:2], strict=True):
        if not low <= side <= high:
            told.append(f"scale: expected {low:g} to {high:g} mm a pixel in {name}, got {side:.4g}")
    if min(sides) <= 1e-9:
        return [*told, f"scale: expected three axes of some length, got {sides}"]
    if abs(sides[0] / sides[1] - 1) > SQUARE_MAX:
        told.append(
            f"scale: expected pixels square within {SQUARE_MAX:.0%}, got {sides[0]:.4g} x "
            f"{sides[1]:.4g} mm"
        )
    for (name, first), (other, second) in (
        (("x", x), ("y", y)),
        (("x", x), ("z", z)),
        (("y", y), ("z", z)),
    ):
        cosine = float(first @ second) / float(np.linalg.norm(first) * np.linalg.norm(second))
        off = abs(90.0 - math.degrees(math.acos(max(-1.0, min(1.0, cosine)))))
        if off > SIDES_MAX_DEG:
            told.append(
                f"right angles: expected {name} and {other} within {SIDES_MAX_DEG:g} degrees of "
                f"one, got {off:.1f} off"
            )
    if float(np.cross(x, y) @ z) < 0:
        told.append("handedness: expected a right-handed matrix, got a left-handed one (mirrored)")
    return told


@dataclass(frozen=True)
class Stamps:
    """How the stamps of a recording are. Counts, and ms."""

    frames: int
    missing: int
    back: int
    jumps: int
    usual_ms: float
    longest_ms: float

    @property
    def words(self) -> list[str]:
        """What is doubtful; empty where nothing is."""
        told = []
        if self.missing:
            told.append(f"{self.missing} of {self.frames} have no time stamp")
        if self.back:
            told.append(f"{self.back} of {self.frames} are stamped no later than the one before")
        if self.jumps:
            told.append(
                f"{self.jumps} gaps of more than 5 usual ones ({self.usual_ms:.1f} ms), the "
                f"longest {self.longest_ms:.0f} ms"
            )
        return told


def look_at_stamps(stamps_s: Sequence[float | None]) -> Stamps:
    """Missing stamps, a clock that goes back, gaps."""
    known = np.array([stamp for stamp in stamps_s if stamp is not None])
    steps = np.diff(known) * 1e3
    forward = steps[steps > 0]
    usual = float(np.median(forward)) if len(forward) else 0.0
    return Stamps(
        len(stamps_s),
        len(stamps_s) - len(known),
        int((steps <= 0).sum()),
        int((steps > 5 * usual).sum()) if usual else 0,
        usual,
        float(steps.max()) if len(steps) else 0.0,
    )


def counts_problem(pictures: int, poses: int) -> str:
    """Pictures and poses that should come in pairs and do not; empty where they do."""
    if pictures == poses:
        return ""
    fewer = "poses" if poses < pictures else "pictures"
    return (
        f"{pictures} pictures and {poses} poses: {abs(pictures - poses)} {fewer} are missing, and "
        "the others are paired by their time stamps"
    )
