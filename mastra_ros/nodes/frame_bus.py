"""Frames by reference between the nodes of one process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from ..types import Frame

FrameCallback = Callable[[Frame], None]


class FrameBus:
    """Hands frames to the nodes of this process by reference, keyed by the full topic name.

    Callbacks run in the publisher's thread and must be short.
    """

    def __init__(self) -> None:
        self._callbacks: dict[str, list[FrameCallback]] = {}
        self._publishers: Counter[str] = Counter()
        self._watchers: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def subscribe(self, topic: str, callback: FrameCallback) -> None:
        with self._lock:
            self._callbacks.setdefault(topic, []).append(callback)

    def unsubscribe(self, topic: str, callback: FrameCallback) -> None:
        with self._lock:
            callbacks = self._callbacks.get(topic, [])
            if callback in callbacks:
                callbacks.remove(callback)

    def advertise(self, topic: str) -> None:
        """A node of this process is going to publish here."""
        self._publishers[topic] += 1
        self._tell()

    def withdraw(self, topic: str) -> None:
        """The opposite of `advertise`."""
        self._publishers[topic] -= 1
        self._tell()

    def advertised(self, topic: str) -> bool:
        """Whether frames on this topic come from this process."""
        return self._publishers[topic] > 0

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call back whenever a publisher has come or gone."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[], None]) -> None:
        self._watchers.remove(watcher)

    def _tell(self) -> None:
        for watcher in list(self._watchers):
            watcher()

    def listened(self, topic: str) -> bool:
        return bool(self._callbacks.get(topic))

    def publish(self, topic: str, frame: Frame) -> None:
        with self._lock:
            callbacks = list(self._callbacks.get(topic, ()))
        for callback in callbacks:
            callback(frame)
