"""The formats of countries' plates, and what a reading is by them.

A format says of each place whether a letter (A) or a digit (9) stands there; # is either. So what
looks alike is told apart (0 O Q D, 1 I L, 8 B, 5 S, 2 Z, 6 G), and what is none of the text, a coat
of arms or the mark of a country, is left out where nothing else fits. The formats are those that
countries and states issue by law; they were not gathered from any pictures.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from mastra_ros.errors import ConfigError

from .reading import LETTERS, Floats, Reading

COUNTRIES: dict[str, tuple[str, ...]] = {
    "at": ("A9999A", "A99999A", "AA999A", "AA9999A", "A999AA", "AA999AA", "AA99AA", "A9999AA"),
    "be": ("9AAA999", "AAA999", "999AAA"),
    "bg": ("A9999AA", "AA9999AA"),
    "ch": ("AA9999", "AA99999", "AA999999"),
    "cz": ("9A99999", "9AA9999", "AAA9999"),
    "de": tuple(
        "A" * town + "A" * own + "9" * count
        for town in (1, 2, 3)
        for own in (1, 2)
        for count in (1, 2, 3, 4)
        if 4 <= town + own + count <= 8
    ),
    "es": ("9999AAA",),
    "fr": ("AA999AA",),
    "gb": ("AA99AAA", "A999AAA", "AAA999A"),
    "hu": ("AAA999", "AAAA999"),
    "it": ("AA999AA",),
    "nl": ("AA99AA", "99AAA9", "9AAA99", "AAA99A", "A999AA", "AA999A", "99AAAA"),
    "pl": (
        "AA99999",
        "AA9999A",
        "AAA99999",
        "AAA9999A",
        "AAA99AA",
        "AAA9A99",
        "AAA999A",
        "AAA9AA9",
    ),
    "ro": ("AA99AAA", "A999AAA"),
    "se": ("AAA999", "AAA99A"),
    "sk": ("AA999AA",),
    "us": (
        *("AAA9999", "9AAA999", "AAA999", "999AAA", "AA9A9A", "AA99999", "999999", "9999AA"),
        *("AAA99A9", "A999999", "9999999", "999AA", "99A999", "AAA9A9", "A99999", "AA9999"),
        *("99AAA9", "9AA999", "A99AAA", "9A99999", "99A9AA", "999A999", "A9AAA", "99999A9"),
    ),
}
"""The newest ones of each, and those that are still about."""

ALIKE: dict[str, str] = {
    "0": "OQD", "1": "IL", "2": "Z", "4": "A", "5": "S", "6": "G", "7": "T", "8": "B",
    "O": "0QD", "Q": "0O", "D": "0O", "I": "1L", "L": "1I", "Z": "2", "A": "4", "S": "5",
    "G": "6C", "T": "7", "B": "8", "C": "G", "U": "V", "V": "U", "M": "H", "H": "M", "W": "M",
}  # fmt: skip
LENT = 0.12
"""What a letter that is not seen has of the chance of one that looks like it."""
LEFT_OUT = 0.9
"""Price of leaving a letter out, besides what its chance makes it worth."""
LEFT_OUT_MOST = 2
WORST = -1.15
"""A format whose letters are less likely than this, in the mean of their logarithms, is not it."""
NO_FORMAT = 2.6
"""What it costs to be of no format."""
CUSTOM = re.compile(r"[A9#]{2,10}")


@dataclass(frozen=True)
class Formatted:
    """A plate's text; format: what it follows, empty where it follows none."""

    text: str
    format: str
    confidence: float


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
    """The likeliest text that follows one of the formats; as it was read where none fits."""
    if not len(reading.letters):
        return Formatted("", "", 0.0)
    lent = _lent(reading.letters)
    best: tuple[float, str, str, float] | None = None
    for one in formats:
        found = _fitted(lent, reading.letters, one)
        if found is not None and (best is None or found[0] > best[0]):
            best = found[0], found[1], one, found[2]
    plainly = float(np.log(np.maximum(reading.letters.max(1), 1e-4)).sum()) - NO_FORMAT
    if best is None or best[0] < max(plainly, WORST * len(best[2])):
        # Some plates are of no format: wished ones, diplomats', those of countries not known here.
        return Formatted(reading.text, "", reading.confidence * 0.8)
    return Formatted(best[1], best[2], best[3])


def _lent(letters: Floats) -> Floats:
    """Chances with what letters that look alike lend each other."""
    return np.asarray(np.clip(letters + LENT * letters @ _alike(), 1e-4, 1.0), np.float32)


@cache
def _alike() -> Floats:
    table = np.zeros((36, 36), np.float32)
    for seen, meant in ALIKE.items():
        for letter in meant:
            table[LETTERS.index(seen), LETTERS.index(letter)] = 1.0
    return table


@cache
def _allowed(code: str) -> Floats:
    digits = np.arange(36) < 10
    return np.asarray(digits if code == "9" else ~digits if code == "A" else digits | True)


def _fitted(lent: Floats, letters: Floats, form: str) -> tuple[float, str, float] | None:
    """Worth, text and confidence of the best way to read the letters by the format."""
    n, m = len(lent), len(form)
    if not m <= n <= m + LEFT_OUT_MOST:
        return None
    classes = {code: np.where(_allowed(code), lent, 0) for code in set(form)}
    worth = {code: np.log(np.maximum(table.max(1), 1e-4)) for code, table in classes.items()}
    which = {code: table.argmax(1) for code, table in classes.items()}
    sure = letters.max(1)
    # Leaving out what is surely there is dear; at the ends, where marks stand, it is cheaper.
    drop = [
        math.log(1.02 - 0.97 * float(sure[k])) * (0.55 if k in (0, n - 1) else 1.0) - LEFT_OUT
        for k in range(n)
    ]
    table = np.full((n + 1, m + 1), -np.inf)
    table[0, 0] = 0.0
    took = np.zeros((n + 1, m + 1), bool)
    for i in range(n):
        for j in range(max(0, i - LEFT_OUT_MOST), min(i, m) + 1):
            here = table[i, j]
            if here == -np.inf:
                continue
            if j < m and here + worth[form[j]][i] > table[i + 1, j + 1]:
                table[i + 1, j + 1] = here + worth[form[j]][i]
                took[i + 1, j + 1] = True
            if here + drop[i] > table[i + 1, j]:
                table[i + 1, j] = here + drop[i]
                took[i + 1, j] = False
    if table[n, m] == -np.inf:
        return None
    text: list[str] = []
    least = 1.0
    i, j = n, m
    while i > 0:
        if took[i, j]:
            i, j = i - 1, j - 1
            text.append(LETTERS[int(which[form[j]][i])])
            least = min(least, float(np.exp(worth[form[j]][i])))
        else:
            i -= 1
    return float(table[n, m]), "".join(reversed(text)), least
