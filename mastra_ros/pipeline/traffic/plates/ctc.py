"""What text the places of a reader are for: CTC (Graves et al., 2006), kept to formats.

A reader says of each place along a plate how likely each letter is, or none. A text can be spread
over the places in many ways; its chance is the sum of all of them. So it is not the likeliest
letter of each place that is taken and mended afterwards: all texts that follow a format are
compared, and several views of one plate are asked about the same texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .reading import LETTERS, Floats

Chances = NDArray[np.float64]

BLANK = len(LETTERS)
LEAST = 1e-5
NOTHING_LEAST = 0.02
"""Any letter may have been seen wrongly with this chance, so that one can be left out."""
STILL = 0.97
"""Of places one after the other that surely say nothing, one is as good as all."""
FOLLOWED = 5
"""Letters of a place that are followed up."""
SEEN_LEAST = 2e-3
NEVER = -1e30

CODES = "9" * 10 + "A" * 26
"""The code of each letter in a format."""


def softened(places: Floats, alike: Floats) -> Chances:
    """Chances (n, 37) with what letters that look alike lend each other (36, 36), none of them 0.

    What is lent is not taken away: a letter that is surely there is no less sure for looking like
    others. Places that say nothing one after the other are made one.
    """
    ours = places[:, :BLANK].astype(np.float64)
    lent = np.minimum(ours + ours @ alike + LEAST, 1.0)
    nothing = np.maximum(places[:, BLANK:].astype(np.float64), NOTHING_LEAST)
    chances = np.concatenate([lent, nothing], 1)
    still = chances[:, BLANK] > STILL
    kept = ~(still & np.concatenate([[False], still[:-1]]))
    return np.asarray(chances[kept])


@cache
def beginnings(formats: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """All that texts of these formats can begin with, in A and 9, and what they can be whole."""
    whole: set[str] = set()
    begun: set[str] = {""}
    for form in formats:
        made = [""]
        for code in form:
            made = [one + c for one in made for c in ("A9" if code == "#" else code)]
            begun.update(made)
        whole.update(made)
    return frozenset(begun), frozenset(whole)


def codes_of(text: str) -> str:
    """A text in A and 9."""
    return "".join(CODES[LETTERS.index(letter)] for letter in text)


def likeliest(chances: Chances, begun: Set[str] | None, width: int) -> list[str]:
    """The likeliest texts, best first: prefix beam search; begun: what they may begin with."""
    beams: dict[str, tuple[float, float]] = {"": (1.0, 0.0)}  # ends in nothing, in its last letter
    codes = {"": ""}
    for row in chances:
        values = row.tolist()
        seen = [int(k) for k in np.argsort(-row[:BLANK])[:FOLLOWED] if values[k] > SEEN_LEAST]
        grown: dict[str, tuple[float, float]] = {}
        for text, (ended, open_) in beams.items():
            a, b = grown.get(text, (0.0, 0.0))
            last = LETTERS.index(text[-1]) if text else -1
            stays = open_ * values[last] if text else 0.0
            grown[text] = (a + (ended + open_) * values[BLANK], b + stays)
            for k in seen:
                code = codes[text] + CODES[k]
                if begun is not None and code not in begun:
                    continue
                chance = (ended if k == last else ended + open_) * values[k]
                if chance > 0.0:
                    longer = text + LETTERS[k]
                    codes[longer] = code
                    a, b = grown.get(longer, (0.0, 0.0))
                    grown[longer] = (a, b + chance)
        beams = dict(sorted(grown.items(), key=lambda one: -sum(one[1]))[:width])
    return list(beams)


def log_chances(chances: Chances, texts: Sequence[str]) -> Chances:
    """The logarithm of the chance of each of these texts, over all ways to spread it."""
    if not texts or not len(chances):
        return np.full(len(texts), NEVER)
    long = max(map(len, texts))
    labels = np.full((len(texts), 2 * long + 1), BLANK)
    for row, text in zip(labels, texts, strict=True):
        row[1 : 2 * len(text) : 2] = [LETTERS.index(letter) for letter in text]
    skips = np.zeros(labels.shape, bool)
    skips[:, 2:] = (labels[:, 2:] != BLANK) & (labels[:, 2:] != labels[:, :-2])
    seen = np.log(chances)[:, labels]  # (places, texts, states)
    here = np.full(labels.shape, NEVER)
    here[:, :2] = seen[0, :, :2]
    for row in seen[1:]:
        new = here.copy()
        new[:, 1:] = np.logaddexp(here[:, 1:], here[:, :-1])
        over = np.where(skips[:, 2:], here[:, :-2], NEVER)
        new[:, 2:] = np.logaddexp(new[:, 2:], over)
        here = new + row
    lengths = np.array([len(text) for text in texts])
    every = np.arange(len(texts))
    ended = here[every, 2 * lengths]
    return np.asarray(np.logaddexp(ended, here[every, np.maximum(2 * lengths - 1, 0)]))


def agreed(views: Iterable[Chances], texts: Sequence[str], floor: float) -> Chances:
    """The mean over views of each text's logarithm; none may count less than `floor` below best."""
    logs = np.stack([log_chances(view, texts) for view in views])
    best = logs.max(1, keepdims=True)
    return np.asarray(np.logaddexp(logs, best + np.log(floor)).mean(0))
