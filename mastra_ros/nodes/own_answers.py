"""Answers of the inference node itself, to frames that no scheduler rules on: `result`, `answered`.

Only between processes: in one process all nodes end together, and none is heard of late.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..inference.open_frames import TICK_NS, Forsaken, OpenFrames
from ..msg import Decision, InferenceResult, LoadState
from ..msg import FrameKey as FrameKeyMsg
from ..types import Frame, FrameKey, Result
from . import convert
from .frames import STREAM
from .lifecycle import LASTING, RELIABLE

if TYPE_CHECKING:
    from .lifecycle import StageNode

CAPACITY = 64
"""Open frames that are kept at least; there are so many only while no scheduler is heard."""
REASON = "no scheduler is heard: answered where it entered"


class OwnAnswers:
    """`infer(frame, reason)` gives a frame to the local model. Used by two threads: it and ours."""

    def __init__(
        self, node: StageNode, ring_frames: int, infer: Callable[[Frame, str], None]
    ) -> None:
        self._node = node
        self._infer = infer
        self._open = OpenFrames(max(CAPACITY, ring_frames))
        self._lock = threading.Lock()
        self._alone = False  # as said in the log
        self._results = node.advertise(InferenceResult, "result", LASTING)
        self._answered = node.advertise(FrameKeyMsg, "answered", RELIABLE)

    def start(self) -> None:
        """Listen to the scheduler."""
        node = self._node
        node.listen(InferenceResult, "result", self._on_result, RELIABLE)
        node.listen(LoadState, "load", lambda _: self._open.heard(), RELIABLE)
        node.every(TICK_NS / 1e9, self._tick)

    @property
    def trouble(self) -> str:
        """What is wrong, for the diagnostics."""
        return REASON if self._alone else ""

    @property
    def count(self) -> int:
        """Frames answered here."""
        return self._open.answered

    def announced(self, frame: Frame) -> None:
        """A frame has entered."""
        with self._lock:
            forsaken = self._open.announced(frame, time.monotonic_ns())
        self._answer(forsaken)

    def ruled(self, key: FrameKey, decision: Decision) -> bool:
        """A scheduler rules on a frame; whether the node has to do what it says."""
        with self._lock:
            late = self._open.was_answered(key)
            ours = self._open.hand_back(key)
            forsaken = self._open.ruled(key, float(decision.deadline_ms), time.monotonic_ns())
            if decision.route == convert.SUPERSEDED and not ours:
                self._open.finished(key)
        self._answer(forsaken)
        if late:
            self._answered.publish(convert.frame_key_to_ros(key, ""))
        return not late and not (ours and decision.route == "local")

    def inferred(self, result: Result, frame_id: str) -> bool:
        """The local model has answered; whether that was final, and is told."""
        with self._lock:
            announced_ns = self._open.inferred(result)
        if announced_ns is not None:
            self._publish(result, announced_ns, frame_id)
        return announced_ns is not None

    def _on_result(self, message: InferenceResult) -> None:
        key = convert.key_from_ros(message.header, STREAM, message.id)
        with self._lock:
            if self._open.was_answered(key):
                return  # our own voice
            self._open.heard()
            if message.final:
                self._open.finished(key)

    def _tick(self) -> None:
        with self._lock:
            forsaken = self._open.tick(time.monotonic_ns())
            alone = self._open.alone
        if alone != self._alone:
            self._alone = alone
            if alone:
                self._node.get_logger().warning("no scheduler is heard: frames are answered here")
            else:
                self._node.get_logger().info("a scheduler is heard again")
        self._answer(forsaken)

    def _answer(self, forsaken: Iterable[Forsaken]) -> None:
        for one in forsaken:
            if one.result is None:
                self._infer(one.frame, REASON)
                continue
            with self._lock:
                self._open.close(one.frame.key)
            self._publish(one.result, one.announced_ns, one.frame.frame_id)

    def _publish(self, result: Result, announced_ns: int, frame_id: str) -> None:
        age_ms = (time.monotonic_ns() - announced_ns) / 1e6
        final = dataclasses.replace(result, reason=REASON, age_ms=age_ms, final=True)
        self._answered.publish(convert.frame_key_to_ros(result.key, frame_id))
        self._results.publish(convert.result_to_ros(final, frame_id))
