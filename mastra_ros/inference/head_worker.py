"""Runs the head of a split network on frames, one after the other, in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..types import Features, Frame, FrameKey
from .worker import STOP_S

_log = logging.getLogger(__name__)

QUEUE_FRAMES_MAX = 16


class FrameHead(Protocol):
    """What the worker needs of a `Head`."""

    def run(self, frame: Frame) -> Features: ...


@dataclass(frozen=True)
class HeadJob:
    """A frame for the head; `deadline_ns` on the monotonic clock, 0 without one."""

    frame: Frame
    deadline_ns: int = 0
    hard: bool = False

    def left_ms(self, now_ns: int) -> float:
        """Time until the deadline, at least 0; 0 also without one."""
        return max(0.0, (self.deadline_ns - now_ns) / 1e6) if self.deadline_ns else 0.0


class HeadWorker:
    """A queue of frames before a head. Each frame ends in one call, in the worker's thread.

    `on_features(features, job, run_ms)`, or `on_failed(key, reason)` where the head fails or
    newer frames have crowded it out. A frame whose deadline passed while it waited is dropped
    without a word: whoever waited for it has turned to the local model.
    """

    def __init__(
        self,
        head: FrameHead,
        on_features: Callable[[Features, HeadJob, float], None],
        on_failed: Callable[[FrameKey, str], None],
        *,
        queue_frames_max: int = QUEUE_FRAMES_MAX,
    ) -> None:
        self._head = head
        self._on_features = on_features
        self._on_failed = on_failed
        self._queue_max = queue_frames_max
        self._queue: deque[HeadJob] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="head", daemon=True)
        self._thread.start()

    def submit(self, job: HeadJob) -> None:
        """Put a frame at the end of the queue. After stop() it is ignored."""
        crowded_out = None
        with self._changed:
            if self._stopping:
                return
            if len(self._queue) >= self._queue_max:
                crowded_out = self._queue.popleft()
            self._queue.append(job)
            self._changed.notify()
        if crowded_out is not None:
            self._on_failed(crowded_out.frame.key, "overloaded: newer frames came")

    def stop(self, timeout_s: float = STOP_S) -> bool:
        """End after the frame in work; those that wait are dropped. May be called twice.

        False when the model has not answered within the time: it must then be left alone.
        """
        with self._changed:
            self._stopping = True
            self._queue.clear()
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        return not self._thread.is_alive() or threading.current_thread() is self._thread

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._queue or self._stopping):
                    self._changed.wait()
                if self._stopping:
                    return
                job = self._queue.popleft()
            if not job.deadline_ns or time.monotonic_ns() < job.deadline_ns:
                self._run(job)

    def _run(self, job: HeadJob) -> None:
        started = time.perf_counter()
        try:
            features = self._head.run(job.frame)
        except Exception as error:  # whatever is wrong with one frame must not end the others
            _log.exception("the head failed on %s", job.frame.key)
            self._on_failed(job.frame.key, f"{type(error).__name__}: {error}")
            return
        self._on_features(features, job, (time.perf_counter() - started) * 1e3)
