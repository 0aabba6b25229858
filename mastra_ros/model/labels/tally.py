"""Counts what was left out of labelled data or read otherwise than written, so that it is said."""

from __future__ import annotations


class Tally:
    """A count and the first example of each kind of thing."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def add(self, what: str, example: str) -> None:
        """One more of a kind, e.g. "boxes without area are left out"."""
        self._counts[what] = self._counts.get(what, 0) + 1
        self._first.setdefault(what, example)

    def lines(self) -> tuple[str, ...]:
        """A line for each kind, in the order in which they were first met."""
        return tuple(
            f"{count} {what}, {self._first[what]} for one" for what, count in self._counts.items()
        )
