"""Frames by reference between the nodes of one process."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..types import Frame

FrameCallback = Callable[[Frame], None]


class FrameBus:
    """Hands frames to the nodes of this process by reference, keyed by the full topic name.

    Callbacks run in the publisher's thread and must be short.
    """

    def __init__(self) -> None:
        self._callbacks: dict[str, list[FrameCallback]] = {}
        self._lock = threading.Lock()

    def subscribe(self, topic: str, callback: FrameCallback) -> None:
        with self._lock:
            self._callbacks.setdefault(topic, []).append(callback)

    def unsubscribe(self, topic: str, callback: FrameCallback) -> None:
        with self._lock:
            callbacks = self._callbacks.get(topic, [])
            if callback in callbacks:
                callbacks.remove(callback)

    def listened(self, topic: str) -> bool:
        return bool(self._callbacks.get(topic))

    def publish(self, topic: str, frame: Frame) -> None:
        with self._lock:
            callbacks = list(self._callbacks.get(topic, ()))
        for callback in callbacks:
            callback(frame)
