"""Notices a stream whose stamps stand still or jump back. Pure: the clock is an argument.

Every frame has an id of its own, so such a stream is answered like any other; but whoever looks at
stamps alone (a bag, another node, a person) takes frames for one another, and should know.
"""

from __future__ import annotations

SETTLED_NS = 2_000_000_000
"""It is over when stamps are past all that came before and have grown for so long."""
FORGOTTEN_NS = 60_000_000_000
"""Or have grown for so long, wherever they are: a clock that was set back stays there."""


class StampWatch:
    """Sees each stamp in order of arrival. An episode is said once, and lasts until it is over."""

    def __init__(self) -> None:
        self.frames = 0
        self.repeated = 0  # frames whose stamp was not above that of the frame before
        self._last_ns: int | None = None
        self._highest_ns = 0  # before this episode
        self._text = ""
        self._bad_at_ns = 0

    def see(self, stamp_ns: int, now_ns: int) -> str:
        """Take in a stamp; `now_ns` is monotonic. Returns what to say when an episode begins."""
        self.frames += 1
        last_ns, self._last_ns = self._last_ns, stamp_ns
        if last_ns is None or stamp_ns > last_ns:
            self._look_whether_over(now_ns)
            if not self._text:
                self._highest_ns = max(self._highest_ns, stamp_ns)
            return ""
        self._forget_old(now_ns)
        self.repeated += 1
        begins = not self._text
        self._text = _what(stamp_ns, last_ns)
        self._bad_at_ns = now_ns
        return self._text if begins else ""

    def trouble(self, now_ns: int) -> str:
        """What is wrong with the stamps just now; empty when nothing is."""
        self._look_whether_over(now_ns)
        return self._text

    def _look_whether_over(self, now_ns: int) -> None:
        past = self._last_ns is not None and self._last_ns > self._highest_ns
        if past and now_ns - self._bad_at_ns >= SETTLED_NS:
            self._text = ""
        self._forget_old(now_ns)

    def _forget_old(self, now_ns: int) -> None:
        if self._text and now_ns - self._bad_at_ns >= FORGOTTEN_NS:
            self._text, self._highest_ns = "", 0


def _what(stamp_ns: int, last_ns: int) -> str:
    told = "frames are told apart by their ids alone"
    if stamp_ns < last_ns:
        back_s = (last_ns - stamp_ns) / 1e9
        why = "a recording in a loop, or a clock that was set?"
        return f"stamps jump back by {back_s:.3f} s ({why}): {told}"
    if stamp_ns == 0:
        return f"stamps stand still at 0 (does the driver set them?): {told}"
    return f"stamps stand still at {stamp_ns / 1e9:.9f} s: {told}"
