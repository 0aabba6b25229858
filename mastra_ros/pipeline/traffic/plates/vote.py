"""What a vehicle's plate is, by all the times that it was read: one reading is not enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .formats import Formatted, agreeing, formatted
from .reading import Reading

READS_KEPT = 12
ASKED_MOST = 6
"""The best readings say enough; each has several views."""
AGREE_SHARE = 0.5
"""More than this of the readings' weight must be for one text."""
LENGTH_LEAST, LENGTH_MOST = 3, 10


@dataclass
class _Read:
    formatted: Formatted
    reading: Reading
    weight: float


@dataclass
class Votes:
    """The readings of one track; weight grows with the size of the plate in the picture."""

    formats: Sequence[str]
    reads: list[_Read] = field(default_factory=list)

    def add(self, reading: Reading, quality: float) -> None:
        """One more reading; quality 0 to 1."""
        found = formatted(reading, self.formats)
        if not LENGTH_LEAST <= len(found.text) <= LENGTH_MOST:
            return  # a badge, a sign, or nothing at all
        self.reads.append(_Read(found, reading, max(0.02, quality * found.confidence)))
        self.reads = sorted(self.reads, key=lambda one: -one.weight)[:READS_KEPT]

    def winner(self, least: float, reads: int = 2) -> Formatted | None:
        """The text that most weight is for, or None: too few readings, they differ, or not sure.

        All views of all readings are asked about the texts of that length, so that none need be
        right by itself.
        """
        if len(self.reads) < reads:
            return None
        lengths: dict[int, list[_Read]] = {}
        for one in self.reads:
            lengths.setdefault(len(one.formatted.text), []).append(one)
        mine = max(lengths.values(), key=lambda some: sum(one.weight for one in some))
        total = sum(one.weight for one in self.reads)
        if len(mine) < reads:
            return None
        texts = [one.formatted.text for one in mine]
        asked = [one.reading for one in mine[:ASKED_MOST]]
        found = agreeing(asked, texts, self.formats)
        share = sum(one.weight for one in self.reads if one.formatted.text == found.text) / total
        agree = sum(text == found.text for text in texts)
        confidence = min(1.0, found.confidence * (0.5 + 0.5 * share))
        if agree < 2 or share <= AGREE_SHARE or confidence < least:
            return None
        return Formatted(found.text, found.format, confidence)
