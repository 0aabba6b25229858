"""What a reading is by the formats of countries' plates.

A format says of each place whether a letter (A) or a digit (9) stands there; # is either. So what
looks alike is told apart (0 O Q D, 1 I L, 8 B, 5 S, 2 Z, 6 G), and what is none of the text, a coat
of arms or the mark of a country, is left out where nothing else fits: of all texts that follow a
format, that one is taken which all views of the plate are most for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from mastra_ros.errors import ConfigError

from .countries import COUNTRIES
from .ctc import Chances, agreed, beginnings, codes_of, likeliest, softened
from .reading import LETTERS, Floats, Reading

ALIKE: dict[str, str] = {
    "0": "OQD", "1": "IL", "2": "Z", "4": "A", "5": "S", "6": "G", "7": "T", "8": "B",
    "O": "0QD", "Q": "0O", "D": "0O", "I": "1L", "L": "1I", "Z": "2", "A": "4", "S": "5",
    "G": "6C", "T": "7", "B": "8", "C": "G", "U": "V", "V": "U", "M": "H", "H": "M", "W": "M",
}  # fmt: skip
LENT = 0.12
"""What a letter that is not seen has of the chance of one that looks like it."""
THE_SAME, LENT_SAME = ("0O", "1I"), 0.25
"""Many plates stamp these with one die."""
VIEWS_WORTH = 2
"""Views of one plate are cut from the same px: all of them together are worth so many at most."""
VIEW_FLOOR = 1e-4
"""A view that is far off, as one that cuts through the letters, says no more than this."""
NO_FORMAT = 4.0
"""What it costs to be of no format: some are, wished ones and those of countries unknown here."""
FOLLOWED, FREELY = 10, 4
"""Texts of a view that are followed up: those of a format, and others."""
FREE_LENGTHS = (2, 10)
UNUSUAL = 0.8
CUSTOM = re.compile(r"[A9#]{2,10}")


@dataclass(frozen=True)
class Formatted:
    """A plate's text; format: what it follows, in A and 9, empty where it follows none.

    confidence: 0 to 1, how well it was seen and how far it is ahead of the next. worth: the
    logarithm of its chance, to compare what was read on several plates.
    """

    text: str
    format: str
    confidence: float
    worth: float = -np.inf


def formats_of(countries: Iterable[str]) -> tuple[str, ...]:
    """The union of the formats of these countries; a format itself (A, 9, #) is taken as it is.

    ConfigError for what is neither.
    """
    union: dict[str, None] = {}
    for name in countries:
        if name.lower() in COUNTRIES:
            union.update(dict.fromkeys(COUNTRIES[name.lower()]))
        elif name.lower() == "all":
            for country in COUNTRIES.values():
                union.update(dict.fromkeys(country))
        elif CUSTOM.fullmatch(name):
            union[name] = None
        else:
            known = ", ".join(("all", *sorted(COUNTRIES)))
            raise ConfigError(
                f"plate_formats: expected {known}, or a format of A, 9 and #, got {name!r:.40}"
            )
    return tuple(union)


def formatted(reading: Reading, formats: Sequence[str]) -> Formatted:
    """The text that the views of a reading are most for; one of no format must be much likelier."""
    begun, _ = beginnings(tuple(formats))
    views = _views(reading)
    texts: dict[str, None] = {}
    for view in views:
        texts.update(dict.fromkeys(likeliest(view, begun, FOLLOWED)))
        texts.update(dict.fromkeys(likeliest(view, None, FREELY)))
    return chosen(views, list(texts), formats)


def agreeing(
    readings: Sequence[Reading], texts: Iterable[str], formats: Sequence[str]
) -> Formatted:
    """That of some texts which all these readings of one plate are most for."""
    views = [view for reading in readings for view in _views(reading)]
    return chosen(views, list(dict.fromkeys(texts)), formats)


def chosen(views: Sequence[Chances], texts: Sequence[str], formats: Sequence[str]) -> Formatted:
    """That of some texts which all views are most for; of no format where that is much likelier."""
    _, whole = beginnings(tuple(formats))
    codes = [codes_of(text) for text in texts]
    least, most = FREE_LENGTHS
    kept = [k for k, code in enumerate(codes) if code in whole or least <= len(code) <= most]
    if not kept or not views:
        return Formatted("", "", 0.0)
    texts, codes = [texts[k] for k in kept], [codes[k] for k in kept]
    follows = np.array([code in whole for code in codes])
    seen = agreed(views, texts, VIEW_FLOOR)
    worth = min(VIEWS_WORTH, len(views)) * seen - np.where(follows, 0.0, NO_FORMAT)
    best = int(worth.argmax())
    second = float(np.delete(worth, best).max(initial=-np.inf))
    ahead = 1 / (1 + float(np.exp(second - worth[best])))
    clear = float(np.exp(min(0.0, seen[best] / len(texts[best]))))
    usual = 1.0 if follows[best] else UNUSUAL
    form = codes[best] if follows[best] else ""
    return Formatted(texts[best], form, ahead * clear * usual, float(worth[best]))


def _views(reading: Reading) -> list[Chances]:
    return [softened(places, _alike()) for places in reading.views]


@cache
def _alike() -> Floats:
    table = np.zeros((36, 36), np.float32)
    for seen, meant in ALIKE.items():
        for letter in meant:
            same = seen + letter in THE_SAME or letter + seen in THE_SAME
            table[LETTERS.index(seen), LETTERS.index(letter)] = LENT_SAME if same else LENT
    return table
