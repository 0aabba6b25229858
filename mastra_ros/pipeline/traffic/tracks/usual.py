"""How things usually move where one has just come into sight: as those before it did.

At 5 frames a second a vehicle moves by half its length from one frame to the next; one that is new
has no speed yet by which to find it again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .kalman import BoxFilter

Floats = NDArray[np.float64]

CELL_PX = 64
FRESH = 0.1
"""How much of what is known the newest replaces."""
KNOWN_LEAST = 6
SPREAD = 1.0
"""What the speed of a new one may differ by, in sizes a second."""
WALKERS = "person"


@dataclass
class _Cell:
    speed: Floats  # in sizes a second
    count: int = 1
    varies: float = 0.0


class UsualMotion:
    """Mean speeds, in sizes a second, by place; persons and vehicles apart."""

    def __init__(self) -> None:
        self._cells: dict[tuple[bool, int, int], _Cell] = {}

    def note(self, filter_: BoxFilter, kind: str) -> None:
        """One that is well known moves so, here."""
        key = self._key(filter_, kind)
        speed = filter_.speed[:2] / filter_.place[2:]
        cell = self._cells.get(key)
        if cell is None:
            self._cells[key] = _Cell(speed.copy())
            return
        share = max(FRESH, 1 / (cell.count + 1))
        apart = float(np.hypot(*(speed - cell.speed)))
        cell.varies += share * (apart - cell.varies)
        cell.speed = cell.speed + share * (speed - cell.speed)
        cell.count += 1

    def lead(self, filter_: BoxFilter, kind: str) -> None:
        """Give a new one the speed that is usual where it is, if there is such."""
        cell = self._cells.get(self._key(filter_, kind))
        if cell is None or cell.count < KNOWN_LEAST:
            return
        filter_.speed[:2] = cell.speed * filter_.place[2:]
        filter_.p11 = (SPREAD + cell.varies) ** 2

    @staticmethod
    def _key(filter_: BoxFilter, kind: str) -> tuple[bool, int, int]:
        x, y = filter_.place[:2]
        return kind == WALKERS, int(x // CELL_PX), int(y // CELL_PX)
