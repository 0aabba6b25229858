"""Stretches of time that a camera has seen, and those that it has not."""

from __future__ import annotations

from collections.abc import Iterable

SPANS_MAX = 500
JOIN_NS = 1_500_000_000
"""Two windows with less than this between them are one stretch: stamps jitter."""


class Seen:
    """Stretches [from, to) of one camera, in order; the oldest are forgotten."""

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        self._spans = [(begin, end) for begin, end in spans]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """All that is known."""
        return list(self._spans)

    def add(self, begin_ns: int, end_ns: int) -> None:
        """The camera has seen this stretch; it may come late, and twice."""
        place = len(self._spans)
        while place and self._spans[place - 1][1] + JOIN_NS >= begin_ns:
            place -= 1
        after = place
        while after < len(self._spans) and self._spans[after][0] <= end_ns + JOIN_NS:
            begin_ns = min(begin_ns, self._spans[after][0])
            end_ns = max(end_ns, self._spans[after][1])
            after += 1
        self._spans[place:after] = [(begin_ns, end_ns)]
        del self._spans[:-SPANS_MAX]

    def within(self, begin_ns: int, end_ns: int) -> int:
        """How many ns of this stretch have been seen."""
        return sum(
            min(end, end_ns) - max(begin, begin_ns)
            for begin, end in self._spans
            if end > begin_ns and begin < end_ns
        )

    def gaps(self, begin_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """What of this stretch has not been seen."""
        found, at = [], begin_ns
        for begin, end in self._spans:
            if end <= begin_ns or begin >= end_ns:
                continue
            if begin > at:
                found.append((at, begin))
            at = max(at, end)
        if at < end_ns:
            found.append((at, end_ns))
        return found

    def whole(self, begin_ns: int, end_ns: int) -> bool:
        """Whether nothing of this stretch is missing."""
        return any(begin <= begin_ns and end_ns <= end for begin, end in self._spans)
