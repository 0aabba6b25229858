"""Looks again at what was taken for a plate: lamps, badges and lettering are let go.

The network that finds plates sees all of a picture and must be quick; so its least score is low,
and most of what it takes for plates on the front of a car is none. This one sees each by itself,
and larger (`train/privacy/second_fit.py`). What is left is what both together think is a plate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...inference.engines.onnx import OnnxEngine
from .boxes import checked
from .region import Image, Region
from .views import View

Floats = NDArray[np.float32]

KEPT_FROM = 0.5
"""The least chance, by both networks, with which a plate is kept: more likely one than none. Chosen
on drawn pictures, of which it keeps 0.997 of the legible plates and an eighth of the others."""
VIEWS_MAX = 64
"""So many are looked at in a picture, the surest first; what is beyond stays as it was found."""
VIEWS_AT_ONCE = 16
LEAST, MOST = 1e-6, 1 - 1e-6


@dataclass(frozen=True)
class Seen:
    """What a second look says: the chance of a plate, and its corners (4, 2), px of the picture.

    They go round from the upper left.
    """

    chance: float
    corners: Floats


class SecondLook:
    """For one thread. Raises ModelError."""

    name = "second look at plates"

    def __init__(self, model: Path, *, threads: int = 1) -> None:
        self._engine = OnnxEngine(model, threads=threads)

    def look(self, image: Image, regions: list[Region]) -> list[Seen]:
        """At each of these regions of a picture of three colours."""
        made: list[Seen] = []
        for start in range(0, len(regions), VIEWS_AT_ONCE):
            views = [View.of(region) for region in regions[start : start + VIEWS_AT_ONCE]]
            batch = np.stack([view.cut(image).transpose(2, 0, 1) for view in views])
            outputs = checked(self.name, self._engine.run(batch.astype(np.float32)))
            made += [
                Seen(float(chance), view.placed(corners))
                for view, chance, corners in zip(views, *outputs, strict=True)
            ]
        return made

    def sifted(self, image: Image, plates: list[Region]) -> list[Region]:
        """The plates without those that are none; the score of the others is what both say."""
        plates = sorted(plates, key=lambda one: -one.score)
        looked, beyond = plates[:VIEWS_MAX], plates[VIEWS_MAX:]
        seen = self.look(image, looked)
        judged = [
            replace(region, score=both(region.score, said.chance))
            for region, said in zip(looked, seen, strict=True)
        ]
        return [region for region in judged if region.score >= KEPT_FROM] + beyond

    def close(self) -> None:
        """Free the network."""
        self._engine.close()


def both(score: float, chance: float) -> float:
    """The chance by two that judge apart from each other: their odds are multiplied."""
    score, chance = (min(MOST, max(LEAST, one)) for one in (score, chance))
    yes, no = score * chance, (1 - score) * (1 - chance)
    return yes / (yes + no)
