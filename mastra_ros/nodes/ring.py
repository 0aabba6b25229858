"""Recent frames, and the requests that came before their frame."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

from ..types import Frame, FrameKey

R = TypeVar("R")


class FrameRing(Generic[R]):
    """Keeps the last `capacity` frames by key; thread-safe.

    Frames and requests travel on different topics, so either may come first: a request for a
    frame that is not here waits (at most `capacity` of them) and is given back by `put`.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._frames: OrderedDict[FrameKey, Frame] = OrderedDict()
        self._requests: OrderedDict[FrameKey, list[R]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: Frame) -> list[R]:
        """Keep a frame; returns the requests that waited for it."""
        with self._lock:
            self._frames[frame.key] = frame
            while len(self._frames) > self._capacity:
                self._frames.popitem(last=False)
            return self._requests.pop(frame.key, [])

    def request(self, key: FrameKey, request: R) -> Frame | None:
        """The frame if it is here; otherwise the request waits for it."""
        with self._lock:
            frame = self._frames.get(key)
            if frame is None:
                self._requests.setdefault(key, []).append(request)
                while len(self._requests) > self._capacity:
                    self._requests.popitem(last=False)
            return frame

    def get(self, key: FrameKey) -> Frame | None:
        """The frame, or None when it has left the ring."""
        with self._lock:
            return self._frames.get(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._frames.clear()
            self._requests.clear()
