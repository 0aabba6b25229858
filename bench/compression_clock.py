"""Times of the encoders that `auto` may choose, taken on a quiet machine, and played back.

What `auto` chooses depends on what the encoders take, so bytes and F would depend on what else the
machine does. `table_of` takes the times of each of them on a scene; `Replay` is the clock that
tells them again, to an `auto` that is measured while the machine is busy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.compression_scenes import Picture
from mastra_ros.compression.codecs import CODECS, FORMATS, open_encoder, opens, spends_ms
from mastra_ros.compression.first import PROCESSOR
from mastra_ros.compression.trials import candidates

QUALITIES = (25, 60, 85)
FRAMES = 60

Table = dict[str, Any]


def table_of(frames: Sequence[Picture]) -> Table:
    """By encoder, ms for the pictures of a scene at each of `QUALITIES`, and for any picture."""
    gray = frames[0].ndim == 2
    names = candidates("auto", frozenset(FORMATS), free_only=False, gray=gray)
    free = candidates("auto", frozenset(FORMATS), free_only=True, gray=gray)
    table: Table = {}
    for name in dict.fromkeys((*names, *free)):
        if opens(name):
            scene_ms = [_middle_ms(name, frames[:FRAMES], quality) for quality in QUALITIES]
            table[name] = {"spends_ms": round(spends_ms(name), 3), "scene_ms": scene_ms}
    return table


def _middle_ms(name: str, frames: Sequence[Picture], quality: int) -> float:
    encoder = open_encoder(name)
    encoding = "mono8" if frames[0].ndim == 2 else "bgr8"
    spent = []
    for number, image in enumerate(frames):
        began = PROCESSOR.spent_s(name)
        encoder.encode(image, encoding, key=number == 0, quality=quality)
        spent.append((PROCESSOR.spent_s(name) - began) * 1e3)
    return round(float(np.median(spent[1:])), 3)


class Replay:
    """A `Clock` that moves on by what an encoder took at this quality, each time it is read: so a
    frame, begun and ended, takes that. One that is not in the table takes what it takes now."""

    def __init__(self, table: Mapping[str, Table], quality: int) -> None:
        self._table = {
            name: (row["spends_ms"], float(np.interp(quality, QUALITIES, row["scene_ms"])))
            for name, row in table.items()
            if name in CODECS
        }
        self._now_s = 0.0

    def spends_ms(self, name: str) -> float:
        """See Clock."""
        return self._table[name][0] if name in self._table else PROCESSOR.spends_ms(name)

    def spent_s(self, name: str) -> float:
        """See Clock."""
        if name not in self._table:
            return PROCESSOR.spent_s(name)
        self._now_s += self._table[name][1] / 1e3
        return self._now_s
