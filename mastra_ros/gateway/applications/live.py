"""Live frames for applications that want to see them, as the gateway has decoded them.

Nothing is kept on disk, and nobody waits: of each stream the newest one takes the place of the one
before, until the application has time for it. Streams take turns. What does not fit into the memory
allowed costs the device that holds most of it. What is not shown is counted.

A frame is handed to the process of the application by a file in memory that both have open: one
copy here, by the kernel and without the lock of the interpreter, and one there.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import StoreError
from ...types import Frame
from .feeds import Feed

STREAMS_MAX = 4096
"""Of which frames wait at once, and of which is known how many were left out."""
FRAME_BYTES = 1024
"""What a frame takes beside its picture, at most."""
_Stream = tuple[str, str]


@dataclass(frozen=True, eq=False)
class LiveItem:
    """A frame whose result is committed; `id` grows in the order in which they are shown."""

    id: int  # also when it was shown, in us since 1970, unless the clock went back
    device: str
    frame: Frame
    result: bytes  # a ResultMessage
    committed_s: float  # since 1970: when it was shown, for whatever is made of it
    left_out: int  # of its stream, since the one before

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return self.frame.image.nbytes + FRAME_BYTES


class LiveTap:
    """All applications that may want live frames, as one that is offered them."""

    def __init__(self, listeners: Sequence[tuple[Feed, LiveFrames]] = ()) -> None:
        self._listeners = listeners

    @property
    def wanted(self) -> bool:
        """Whether any of them wants some, or has not said yet."""
        return any(feed.wanted is not False for feed, _ in self._listeners)

    def offer(self, device: str, frame: Frame, result: bytes) -> None:
        """To each that wants it."""
        for feed, frames in self._listeners:
            if feed.wanted is not False:
                frames.offer(device, frame, result)


class LiveFrames:
    """The frames that wait for one application: one a stream, `bytes_max` in all.

    every_s: no more than one frame of a stream in so long. on_left_out(frames) counts; on_new() is
    called when there is one to be shown.
    """

    def __init__(
        self,
        bytes_max: int,
        *,
        on_left_out: Callable[[int], None] = lambda _: None,
        on_new: Callable[[], None] = lambda: None,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self.every_s = 0.0
        self.on_new = on_new
        self._bytes_max = bytes_max
        self._on_left_out = on_left_out
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._waiting: OrderedDict[_Stream, LiveItem] = OrderedDict()
        self._held: Counter[str] = Counter()  # bytes, by device
        self._bytes = 0
        self._left_out: Counter[_Stream] = Counter()
        self._taken_s: dict[_Stream, float] = {}
        self._handed: LiveItem | None = None
        self._last = 0

    @property
    def bytes_held(self) -> int:
        """Of the frames that wait."""
        return self._bytes

    def offer(self, device: str, frame: Frame, result: bytes) -> None:
        """Let it wait in the place of an older one of its stream, or leave it out."""
        stream, now_s = (device, frame.key.stream), self._clock_s()
        new = LiveItem(0, device, frame, result, now_s, 0)
        with self._lock:
            since_s = now_s - self._taken_s.get(stream, 0.0)
            old = self._waiting.get(stream)
            if 0 <= since_s < self.every_s and old is None:
                self._count(stream)
                return  # as it was asked for
            gone = 0 if old is None else self._give_up(stream, keep_place=True)
            more, fits = self._make_room(device, new.size)
            gone += more + (not fits)
            if fits:
                self._waiting[stream] = new
                self._held[device] += new.size
                self._bytes += new.size
            else:
                self._waiting.pop(stream, None)
                self._count(stream)
        if gone:
            self._on_left_out(gone)
        if fits:
            self.on_new()

    def page(self, after: int, most: int) -> Sequence[LiveItem]:
        """The one that comes next, again until its place is behind `after`."""
        del most
        with self._lock:
            if self._handed is not None and self._handed.id > after:
                return [self._handed]
            self._handed = None
            if not self._waiting:
                return []
            stream, item = self._waiting.popitem(last=False)
            self._let_go(item)
            now_s = self._clock_s()
            self._last = max(self._last + 1, after + 1, int(now_s * 1e6))
            self._taken_s[stream] = now_s
            self._forget_silent(now_s)
            left_out = self._left_out.pop(stream, 0)
            self._handed = LiveItem(
                *(self._last, item.device, item.frame, item.result, self._last / 1e6, left_out)
            )
            return [self._handed]

    def told(self, wanted: bool, said: Mapping[str, Any]) -> None:
        """The process of the application has begun, and said whether and how often it wants any."""
        every_s = said.get("live_every_s", 0.0)
        self.every_s = float(every_s) if isinstance(every_s, (int, float)) else 0.0
        if wanted:
            return
        with self._lock:
            self._waiting.clear()
            self._held.clear()
            self._left_out.clear()
            self._bytes, self._handed = 0, None

    def _make_room(self, device: str, size: int) -> tuple[int, bool]:
        """Frames given up for one of this device, and whether there is room for it now."""
        if len(self._waiting) >= STREAMS_MAX:
            return 0, False
        gone = 0
        while self._bytes + size > self._bytes_max:
            most = max(self._held, key=self._held.__getitem__, default="")
            if not most or most == device or self._held[most] <= self._held[device] + size:
                return gone, False
            self._give_up(next(one for one in reversed(self._waiting) if one[0] == most))
            gone += 1
        return gone, True

    def _give_up(self, stream: _Stream, *, keep_place: bool = False) -> int:
        item = self._waiting[stream]
        if not keep_place:
            del self._waiting[stream]
        self._let_go(item)
        self._count(stream)
        return 1

    def _count(self, stream: _Stream) -> None:
        if stream in self._left_out or len(self._left_out) < 2 * STREAMS_MAX:
            self._left_out[stream] += 1

    def _let_go(self, item: LiveItem) -> None:
        self._bytes -= item.size
        self._held[item.device] -= item.size
        if not self._held[item.device]:
            del self._held[item.device]

    def _forget_silent(self, now_s: float) -> None:
        """Streams that no longer tell anything."""
        if len(self._taken_s) > STREAMS_MAX:
            kept_s = max(60.0, self.every_s)
            self._taken_s = {s: at for s, at in self._taken_s.items() if now_s - at < kept_s}
            known = {*self._taken_s, *self._waiting}
            self._left_out = Counter({s: n for s, n in self._left_out.items() if s in known})


class HandOver:
    """The file in memory by which pictures go to the process of one application."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("mastra-live")

    def as_seen(self, item: LiveItem) -> list[Any]:
        """Leave the picture in the file; the rest as plain values. StoreError: no memory."""
        image = np.ascontiguousarray(item.frame.image)
        flat = image.data.cast("B")
        done = 0
        try:
            while done < len(flat):
                done += os.pwrite(self.descriptor, flat[done:], done)
        except OSError as error:
            raise StoreError(f"a live frame cannot be handed over: {error.strerror}") from error
        key = item.frame.key
        return [
            *(item.id, item.device, key.stream, key.stamp_ns, key.id, item.committed_s),
            *(item.frame.encoding, list(image.shape), image.dtype.str, item.result),
            item.left_out,
        ]

    def close(self) -> None:
        """Let go of the file."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
