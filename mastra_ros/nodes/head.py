"""The head of a split model inside the inference node: `decision` split -> `features`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..config import InferenceConfig
from ..inference import Bundle, Head, HeadJob, HeadWorker
from ..msg import Decision, InferenceResult
from ..msg import Features as FeaturesMsg
from ..types import EIGHT_BIT, Detections, Features, Frame, FrameKey, Result, Route
from . import convert

if TYPE_CHECKING:
    from .lifecycle import StageNode


class HeadRunner:
    """Answers every frame that is to be split, also where the bundle has no head to do it.

    A frame that cannot go this way is reported on `cloud_result`, as the bridge does, so that
    the arbiter gives it to the local model at once.
    """

    def __init__(self, node: StageNode, bundle: Bundle, config: InferenceConfig) -> None:
        self._node = node
        self._bundle = bundle
        self._head: Head | None = None
        self._worker: HeadWorker | None = None
        self._complained = False
        self._config = config
        self._features = node.advertise(FeaturesMsg, "features")
        self._failures = node.advertise(InferenceResult, "cloud_result")
        self._head = self._open(bundle)

    def _open(self, bundle: Bundle) -> Head | None:
        config = self._config
        if bundle.split is None:
            return None
        return Head.open(
            bundle,
            threads=config.threads,
            delegate=config.delegate,
            providers=config.providers,
        )

    def prepare(self, bundle: Bundle) -> Callable[[], None]:
        """Open and warm up the head of another bundle; the answer makes it the one in use."""
        head = self._open(bundle)
        if head is not None:
            head.warm_up(self._config.warmup_runs)

        def change() -> None:
            left, before = self._worker, self._head
            self._bundle, self._complained = bundle, False
            self._head = head
            self._worker = None if head is None else HeadWorker(head, self._publish, self.fail)
            if (left is None or left.stop()) and before is not None:
                before.close()

        return change

    def start(self, warmup_runs: int) -> None:
        """Warm up and take frames."""
        if self._head is not None:
            self._head.warm_up(warmup_runs)
            self._worker = HeadWorker(self._head, self._publish, self.fail)

    def halt(self) -> None:
        """Take no more frames."""
        if self._worker is not None:
            if not self._worker.stop():
                self._node.get_logger().error("the head does not answer; it is left as it is")
                self._head = None  # in use for good, and so not to be closed
            self._worker = None

    def close(self) -> None:
        """Free the model."""
        if self._head is not None:
            self._head.close()
            self._head = None

    def take(self, frame: Frame, decision: Decision) -> None:
        """Run the head on a frame."""
        if self._worker is None:
            reason = f"bundle {self._bundle.name} is not split (mastra model split makes one)"
            if not self._complained:
                self._complained = True
                self._node.get_logger().error(f"route split: {reason}; frames go to the local one")
            self.fail(frame.key, reason)
            return
        deadline_ns = 0
        if decision.deadline_ms:
            deadline_ns = time.monotonic_ns() + int(decision.deadline_ms * 1e6)
        self._worker.submit(HeadJob(frame, deadline_ns, decision.hard))

    def fail(self, key: FrameKey, reason: str) -> None:
        """Tell the arbiter that a frame cannot go this way."""
        result = Result(key, Route.SPLIT, Detections.empty(), error=reason)
        self._failures.publish(convert.result_to_ros(result, ""))

    def _publish(self, features: Features, job: HeadJob, run_ms: float) -> None:
        frame = job.frame
        encoding = EIGHT_BIT.get(frame.encoding, frame.encoding)  # as the gateway knows it
        message = convert.features_to_ros(features, encoding, frame.frame_id, run_ms)
        message.hard = job.hard
        message.deadline_ms = job.left_ms(time.monotonic_ns())
        self._features.publish(message)
