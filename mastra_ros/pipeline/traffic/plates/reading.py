"""What a reader says of a plate: chances of each letter at each place, and the text they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
Floats = NDArray[np.float32]
Image = NDArray[Any]


@dataclass(frozen=True)
class Reading:
    """letters: float32 (n, 36), of each letter of the text the chances of what it is.

    An empty one is a plate on which nothing was read. views: of each picture of the plate that was
    read, float32 (places, 37), the chances of each letter at each place and of none; where there
    are none, the letters themselves are one.
    """

    letters: Floats
    views: tuple[Floats, ...] = ()

    def __post_init__(self) -> None:
        if not self.views and len(self.letters):
            object.__setattr__(self, "views", (_spread(self.letters),))

    @cached_property
    def text(self) -> str:
        """By the likeliest of each."""
        return "".join(LETTERS[k] for k in self.letters.argmax(1).tolist())

    @property
    def confidence(self) -> float:
        """The chance of its least sure letter; 0 of none."""
        return float(self.letters.max(1).min()) if len(self.letters) else 0.0


class Reader(Protocol):
    """Reads plates: pictures (height, width) or (height, width, 3), BGR, of any size."""

    name: str
    whole: bool
    """It wants the whole plate; else the line of letters."""

    def read(self, plates: list[Image]) -> list[Reading]:
        """What stands on each of them."""

    def close(self) -> None:
        """Free the network."""


def of_places(chances: Floats) -> Reading:
    """The reading of places (n, 37), the last of which means nothing: CTC by the best path.

    Of places that say the same one after the other the mean counts.
    """
    blank = chances.shape[1] - 1
    best = chances.argmax(1)
    letters: list[Floats] = []
    start = 0
    for k in range(1, len(best) + 1):
        if k == len(best) or best[k] != best[start]:
            if best[start] != blank:
                weight = chances[start:k, best[start]]
                mean = (chances[start:k] * weight[:, None]).sum(0) / weight.sum()
                letters.append(mean[:blank] / max(1e-6, 1 - float(mean[blank])))
            start = k
    made = np.stack(letters) if letters else np.zeros((0, blank))
    return Reading(np.clip(made, 0, 1).astype(np.float32), (chances,))


def _spread(letters: Floats) -> Floats:
    """Places that are for these letters, one each, with nothing between."""
    places = np.zeros((2 * len(letters), letters.shape[1] + 1), np.float32)
    places[::2, :-1] = letters
    places[::2, -1] = np.maximum(0, 1 - letters.sum(1))
    places[1::2, -1] = 1
    return places


def together(readings: Sequence[Reading]) -> Reading:
    """One reading of several of the same plate, with the views of all.

    Its letters are the mean of those of the length that most are for.
    """
    views = tuple(view for one in readings for view in one.views)
    lengths: dict[int, list[Reading]] = {}
    for one in readings:
        if len(one.letters):
            lengths.setdefault(len(one.letters), []).append(one)
    if not lengths:
        return Reading(np.zeros((0, len(LETTERS)), np.float32), views)
    mine = max(lengths.values(), key=lambda some: sum(map(_weight, some)))
    weights = np.array([_weight(one) for one in mine], np.float32)
    letters = np.stack([one.letters for one in mine]) * weights[:, None, None]
    return Reading(np.asarray(letters.sum(0) / weights.sum(), np.float32), views)


def one_after_the_other(lines: Sequence[Reading]) -> Reading:
    """One reading of the lines of one plate, of each its first view; nothing where one is empty."""
    if not all(len(line.letters) for line in lines):
        return Reading(np.zeros((0, len(LETTERS)), np.float32))
    letters = np.concatenate([line.letters for line in lines])
    return Reading(letters, (np.concatenate([line.views[0] for line in lines]),))


def _weight(reading: Reading) -> float:
    return reading.confidence + 0.05
