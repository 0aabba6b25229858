"""Names of classes as labelling tools write them, found among the labels of a model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from .tally import Tally


def folded(name: str) -> str:
    """A name without its case and its way of parting words."""
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


class LabelNames:
    """The labels of a model, by name: exactly, or where that is clear, whatever their case.

    Tools change names: `pin_hole` comes back as `Pin-hole` or `pin hole`.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        count = Counter(map(folded, self.labels))
        self._told: set[str] = set()
        self._exact = {name: i for i, name in enumerate(self.labels)}
        self._folded = {
            folded(name): i for i, name in enumerate(self.labels) if count[folded(name)] == 1
        }

    def __len__(self) -> int:
        return len(self.labels)

    def __str__(self) -> str:
        return f"{', '.join(self.labels[:10])}{'…' if len(self) > 10 else ''}"

    def index(self, name: str, tally: Tally) -> int | None:
        """The label's number; None where the model does not have it.

        What is written otherwise than the label goes into the tally once.
        """
        found = self._exact.get(name)
        if found is None:
            found = self._folded.get(folded(name))
            if found is not None and name not in self._told:
                self._told.add(name)
                tally.add(
                    "names of classes are taken for labels that are written otherwise",
                    f"{name!r} for {self.labels[found]!r}",
                )
        return found
