"""Slows down who guesses passwords. Pure.

After `free` failures each further one closes the door for twice as long as the one before, for the
address and for the name alike; a success opens it again. Names are guessed from many addresses,
and addresses try many names, so both are counted.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

FREE = 5
FIRST_S, LONGEST_S = 1.0, 900.0
FORGET_S = 3600.0
KEPT_MAX = 10_000
"""Addresses and names that are remembered; the oldest are forgotten beyond it."""


@dataclass
class _Count:
    failures: int = 0
    closed_until_s: float = 0.0
    last_s: float = 0.0


class Throttle:
    """Counts failed log-ins."""

    def __init__(self) -> None:
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def wait_s(self, address: str, name: str, now_s: float) -> float:
        """How long the next try must wait; 0 when it may be made now."""
        return max(
            (
                count.closed_until_s - now_s
                for key in _keys(address, name)
                if (count := self._counts.get(key)) is not None
            ),
            default=0.0,
        )

    def failed(self, address: str, name: str, now_s: float) -> None:
        """A try that was made has failed."""
        for key in _keys(address, name):
            count = self._counts.get(key)
            if count is None or now_s - count.last_s > FORGET_S:
                count = self._counts[key] = _Count()
            count.failures += 1
            count.last_s = now_s
            if count.failures >= FREE:
                # The exponent is bounded before the power is taken.
                doubled = FIRST_S * 2.0 ** min(count.failures - FREE, 16)
                count.closed_until_s = now_s + min(LONGEST_S, doubled)
            self._counts.move_to_end(key)
        while len(self._counts) > KEPT_MAX:
            self._counts.popitem(last=False)

    def succeeded(self, address: str, name: str) -> None:
        """A try was good: what failed before was a slip."""
        for key in _keys(address, name):
            self._counts.pop(key, None)


def _keys(address: str, name: str) -> tuple[str, str]:
    return f"address {address}", f"name {name[:64]}"
