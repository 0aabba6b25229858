"""Whom a roll-out that is done has not reached: devices that were away, or came after it.

Of the roll-outs that are done the newest one counts that names the device, or that was for all
devices and is of the bundle that this one has. Used from the loop. Each stream is judged once after
it is heard, a few each time, since there may be a thousand: a device that has the bundle and leaves
it afterwards has left it by itself.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

from .statuses import Hearing, StatusBoard
from .steering import Rollout

AT_ONCE = 50
"""Statuses that are opened in one look, well under 10 ms."""


@dataclass(frozen=True)
class Late:
    """A stream that is to be given the bundle; whether its device is one that came after it."""

    rollout: Rollout
    device: str
    stream: str
    joined: bool


class Latecomers:
    """Remembers whom it has judged by the roll-outs that are done, the newest first."""

    def __init__(self, board: StatusBoard, hearing: Hearing, done: Sequence[Rollout]) -> None:
        self._board = board
        self._hearing = hearing
        self._judged: set[tuple[str, str]] = set()
        self._from = 0
        self.know(done)

    def know(self, done: Sequence[Rollout]) -> None:
        """These are done now; everybody is judged anew."""
        self._done = [(rollout, frozenset(rollout.devices)) for rollout in done]
        self._judged.clear()

    def find(self, busy: Container[str], now_s: float) -> list[Late]:
        """Some of those that are late, but for devices of a roll-out that is under way."""
        names = self._hearing.devices() if self._done else []
        found: list[Late] = []
        opened = place = 0
        for place, device in enumerate(names[self._from :] + names[: self._from], 1):  # noqa: B007
            if opened >= AT_ONCE:
                break
            waiting = [
                stream
                for stream in self._board.streams(device)
                if (device, stream) not in self._judged
            ]
            if device in busy or not waiting:
                continue
            if not self._hearing.of_device(device, now_s).heard:
                continue
            opened += len(waiting)
            found += [late for stream in waiting if (late := self._judge(device, stream))]
        self._from = (self._from + place) % len(names) if names else 0
        return found

    def _judge(self, device: str, stream: str) -> Late | None:
        entry = self._board.newest(device, stream)
        bundle = {} if entry is None else entry.status.get("bundle", {})
        digest = bundle.get("digest")
        if not digest:
            return None  # it may tell of one yet
        self._judged.add((device, stream))
        for rollout, devices in self._done:
            joined = rollout.everyone and bundle.get("name") == rollout.name
            if device in devices or joined:
                new = digest != rollout.digest and device not in rollout.switched
                return Late(rollout, device, stream, device not in devices) if new else None
        return None
