"""Infers frames one after the other in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from ..errors import ModelError
from ..types import Detections, Frame, Result, Route

_log = logging.getLogger(__name__)

TELL_EVERY_S = 60.0
"""Failures are told in the log this often."""

QUEUE_FRAMES_MAX = 64
STOP_S = 5.0
"""How long a model may take over its last frame before nobody waits for it any more."""


class FrameDetector(Protocol):
    """What the worker needs of a `Detector`."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def model(self) -> str: ...

    @property
    def version(self) -> str: ...

    def detect(self, frame: Frame) -> Detections: ...


class InferenceWorker:
    """A queue of frames before a detector. Every frame taken in yields one Result.

    `on_result` is called in the worker's thread, in the order of submission. A frame that makes
    the detector fail yields a Result with `error`; so does the oldest waiting one when the
    queue is full, since newer frames are worth more.
    """

    def __init__(
        self,
        detector: FrameDetector,
        on_result: Callable[[Result], None],
        *,
        queue_frames_max: int = QUEUE_FRAMES_MAX,
    ) -> None:
        self._detector = detector
        self._on_result = on_result
        self._queue_max = queue_frames_max
        self._queue: deque[tuple[Frame, str]] = deque()
        self._dropped: deque[tuple[Frame, str]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._next: tuple[FrameDetector, Callable[[FrameDetector], None]] | None = None
        self._tell_at_s = 0.0
        self._untold = 0
        self._thread = threading.Thread(target=self._work, name="inference", daemon=True)
        self._thread.start()

    @property
    def queue_frames(self) -> int:
        """Frames that wait, without the one in work."""
        return len(self._queue)

    def submit(self, frame: Frame, reason: str) -> None:
        """Put a frame at the end of the queue. After stop() it is ignored."""
        with self._changed:
            if self._stopping:
                return
            if len(self._queue) >= self._queue_max:
                self._dropped.append(self._queue.popleft())
            self._queue.append((frame, reason))
            self._changed.notify()

    def replace(self, detector: FrameDetector, on_left: Callable[[FrameDetector], None]) -> None:
        """Take another detector between two frames; it may only be asked for once at a time.

        `on_left` is called in the worker's thread with the one that is used no more: the one
        before, or this one, where the worker has stopped.
        """
        with self._changed:
            self._next = (detector, on_left)
            if not self._thread.is_alive():
                self._next = None
                on_left(detector)
            self._changed.notify()

    def stop(self, timeout_s: float = STOP_S) -> bool:
        """End after the frame in work; frames that wait get no result. May be called twice.

        False when the model has not answered within the time: it must then be left alone.
        """
        with self._changed:
            self._stopping = True
            self._queue.clear()
            self._dropped.clear()
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        return not self._thread.is_alive() or threading.current_thread() is self._thread

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._queue or self._dropped or self._stopping or self._next):
                    self._changed.wait()
                change, self._next = self._next, None
                if self._stopping:
                    if change is not None:
                        change[1](change[0])
                    return
            if change is not None:
                left, self._detector = self._detector, change[0]
                change[1](left)
                continue
            with self._changed:
                if not (self._queue or self._dropped):  # stopped meanwhile
                    continue
                overloaded = bool(self._dropped)
                frame, reason = (self._dropped if overloaded else self._queue).popleft()
            if overloaded:
                self._deliver(self._failure(frame, reason, "overloaded: newer frames came"))
            else:
                self._deliver(self._infer(frame, reason))

    def _infer(self, frame: Frame, reason: str) -> Result:
        started = time.perf_counter()
        try:
            found = self._detector.detect(frame)
        except Exception as error:  # whatever is wrong with one frame must not end the others
            self._tell(frame, error)
            return self._failure(frame, reason, f"{type(error).__name__}: {error}")
        return Result(
            key=frame.key,
            origin=Route.LOCAL,
            detections=found,
            model=self._detector.model,
            model_version=self._detector.version,
            reason=reason,
            inference_ms=(time.perf_counter() - started) * 1e3,
        )

    def _tell(self, frame: Frame, error: Exception) -> None:
        """Once a minute what went wrong: a model that fails does so with every frame."""
        now_s = time.monotonic()
        if now_s < self._tell_at_s:
            self._untold += 1
            return
        more = f" (and {self._untold} before it)" if self._untold else ""
        fault = None if isinstance(error, ModelError) else error  # of ours: with its traceback
        _log.error("inference of %s failed%s: %s", frame.key, more, error, exc_info=fault)
        self._tell_at_s, self._untold = now_s + TELL_EVERY_S, 0

    def _failure(self, frame: Frame, reason: str, error: str) -> Result:
        return Result(
            key=frame.key,
            origin=Route.LOCAL,
            detections=Detections.empty(self._detector.labels),
            model=self._detector.model,
            model_version=self._detector.version,
            reason=reason,
            error=error,
        )

    def _deliver(self, result: Result) -> None:
        try:
            self._on_result(result)
        except Exception:  # a receiver at fault must not stop the frames after this one
            _log.exception("the receiver of the result of %s failed", result.key)
