"""Who may wait before it has proven who it is: a bounded share an address, and so many in all.

Nobody is refused here, for then the first to come could keep out those that come later: when a
share is full, the one that has waited longest is shown out. A device needs a few ms to prove
itself; what only occupies a place loses it to the next one. Decisions only, no sockets.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

G = TypeVar("G")


class Lobby(Generic[G]):
    """Those that wait, by address; a guest is anything that can be hashed."""

    def __init__(self, guests_max: int, address_max: int) -> None:
        self._guests_max = guests_max
        self._address_max = address_max
        self._waiting: dict[str, OrderedDict[G, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def waiting(self, address: str) -> int:
        """How many wait from this address."""
        return len(self._waiting.get(address, ()))

    def enter(self, guest: G, address: str) -> G | None:
        """Let a guest wait; whom to show out for it, if anybody."""
        own = self._waiting.setdefault(address, OrderedDict())
        own[guest] = None
        self._count += 1
        if len(own) > self._address_max:
            crowd = address
        elif self._count > self._guests_max:
            crowd = max(self._waiting, key=lambda one: len(self._waiting[one]))
        else:
            return None
        oldest = next(iter(self._waiting[crowd]))
        self.leave(oldest, crowd)
        return oldest

    def leave(self, guest: G, address: str) -> None:
        """The guest waits no longer; a second call does nothing."""
        own = self._waiting.get(address)
        if own is None or guest not in own:
            return
        del own[guest]
        self._count -= 1
        if not own:
            del self._waiting[address]


class Turnstile(Generic[G]):
    """Whose handshake is next: the addresses take turns, and of one address the newest goes first.

    At most `rate_hz` go through a second, after a burst of `burst`, so that handshakes, which cost
    more than all else that a stranger can ask for, leave time for those that are inside.
    """

    def __init__(self, rate_hz: float, burst: int) -> None:
        self._rate_hz = rate_hz
        self._burst = float(burst)
        self._allowed = float(burst)
        self._at_s = 0.0
        self._queues: OrderedDict[str, deque[G]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def put(self, guest: G, address: str) -> None:
        """Someone wants to go through."""
        self._queues.setdefault(address, deque()).append(guest)

    def withdraw(self, guest: G, address: str) -> None:
        """Someone wants no longer; nothing happens when it has gone through."""
        queue = self._queues.get(address)
        if queue is not None and guest in queue:
            queue.remove(guest)
            if not queue:
                del self._queues[address]

    def take(self, now_s: float) -> G | None:
        """Who goes through now; None when nobody wants to or `wait_s` has to pass first."""
        self._allowed = min(self._burst, self._allowed + (now_s - self._at_s) * self._rate_hz)
        self._at_s = now_s
        if not self._queues or self._allowed < 1.0:
            return None
        self._allowed -= 1.0
        address, queue = next(iter(self._queues.items()))
        guest = queue.pop()
        if queue:
            self._queues.move_to_end(address)
        else:
            del self._queues[address]
        return guest

    @property
    def wait_s(self) -> float:
        """How long until the next may go through, counted from the last `take`."""
        return max(0.0, (1.0 - self._allowed) / self._rate_hz)
