"""Recent frames, and the requests that came before their frame."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

from ..types import Frame, FrameKey
from .naming import MARK, picture_of

R = TypeVar("R")


class FrameRing(Generic[R]):
    """Keeps the last `capacity` frames by key; thread-safe.

    Frames and requests travel on different topics, so either may come first: a request for a
    frame that is not here waits (at most `capacity` of them) and is given back by `put`.

    A key finds the frame of that very key, or the picture that it names (see `naming`). Where one
    side knows no id, or not how to tell it by the picture, the stamp has to do: the newest frame
    for a key without an id, else one that has its stamp alone.
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
            self._frames.move_to_end(frame.key)
            while len(self._frames) > self._capacity:
                self._frames.popitem(last=False)
            meant = [key for key in self._requests if self._find(key) is frame]
            return [request for key in meant for request in self._requests.pop(key)]

    def request(self, key: FrameKey, request: R) -> Frame | None:
        """The frame if it is here; otherwise the request waits for it."""
        with self._lock:
            frame = self._find(key)
            if frame is None:
                self._requests.setdefault(key, []).append(request)
                while len(self._requests) > self._capacity:
                    self._requests.popitem(last=False)
            return frame

    def get(self, key: FrameKey) -> Frame | None:
        """The frame, or None when it has left the ring."""
        with self._lock:
            return self._find(key)

    def _find(self, key: FrameKey) -> Frame | None:
        frame = self._frames.get(key) or self._frames.get(picture_of(key))
        if frame is not None:
            return frame
        under = [f for held, f in self._frames.items() if held.unnamed == key.unnamed]
        if not key.id:
            return under[-1] if under else None
        blind = MARK not in key.id  # this id tells nothing of the picture
        if len(under) == 1 and (not under[0].key.id or (blind and MARK in under[0].key.id)):
            return under[0]
        return None

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._frames.clear()
            self._requests.clear()
