"""The inference node: keeps recent frames, announces each, infers those it is told to."""

from __future__ import annotations

import time
from typing import Any

from std_msgs.msg import Header

from ..config import InferenceConfig
from ..errors import ModelError
from ..inference import Bundle, Detector, EngineOptions, InferenceWorker, load_bundle
from ..inference.choosing.auto import AutoDetector, open_detector
from ..inference.choosing.kept import choices_folder
from ..inference.stamps import StampWatch
from ..msg import Decision, InferenceResult
from ..msg import FrameKey as FrameKeyMsg
from ..types import Detections, Frame, FrameKey, Result, Route
from . import convert
from .frames import STREAM, listen_to_frames
from .head import HeadRunner
from .lifecycle import RELIABLE, Health, StageNode, settings_text
from .naming import Namer, as_named
from .own_answers import OwnAnswers
from .process import run
from .ring import FrameRing
from .rolled_out import RolledOut


class InferenceNode(StageNode):
    """Every frame put in the ring is announced on `entered`: from then on it has entered.

    So that whatever becomes of it elsewhere, it can still be inferred here. `frame` tells its
    header alone, for those outside.
    """

    stage = "inference"
    config: InferenceConfig

    def __init__(self, **node_options: Any) -> None:
        self._worker: InferenceWorker | None = None
        self._detector: Detector | AutoDetector | None = None
        self._head: HeadRunner | None = None
        self._engine = ""  # as last told in the log
        self._own: OwnAnswers | None = None
        self._rolled: RolledOut | None = None
        super().__init__(**node_options)

    def set_up(self) -> None:
        config = self.config
        rolled = self._rolled = RolledOut(self)
        self._bundle, self._detector = rolled.open_first(load_bundle(config.bundle))
        bundle = self._bundle
        self._ring: FrameRing[Decision] = FrameRing(config.ring_frames)
        self._names = Namer()
        self._stamps = StampWatch()
        self._entered = self.advertise(FrameKeyMsg, "entered")
        self._announce = self.advertise(Header, "frame")
        self._results = self.advertise(InferenceResult, "local_result")
        self._head = HeadRunner(self, bundle, config)
        if self.bus is None:
            self._own = OwnAnswers(self, config.ring_frames, self._infer)

    def open_bundle(self, bundle: Bundle) -> Detector | AutoDetector:
        """The detector of a bundle. Raises ModelError."""
        config = self.config
        return open_detector(
            bundle,
            ("local",),
            config.engine,
            options=EngineOptions(config.threads, config.delegate, config.providers, config.device),
            score_threshold=config.score_threshold,
            choices_dir=choices_folder(config.choices_dir),
        )

    def start(self) -> None:
        if self._detector is None:
            raise ModelError("the model did not answer before: clean up and configure again")
        assert self._head is not None
        self._detector.warm_up(self.config.warmup_runs)
        self._head.start(self.config.warmup_runs)
        self._worker = InferenceWorker(self._detector, self._publish)
        self.listen(Decision, "decision", self._on_decision, RELIABLE)
        if self._own is not None:
            self._own.start()
        assert self._rolled is not None
        self._rolled.start()
        listen_to_frames(self, "image_raw", self._on_frame)
        self.get_logger().info(
            f"model {self._detector.model} {self._detector.version}: {settings_text(self.config)}"
        )

    def halt(self) -> None:
        if self._rolled is not None:  # none where the node was never configured
            self._rolled.stop()
        if self._worker is not None:
            if not self._worker.stop():
                self.get_logger().error("the model does not answer; it is left as it is")
                self._detector = None  # in use for good, and so not to be closed
            self._worker = None
        if self._head is not None:
            self._head.halt()

    def tear_down(self) -> None:
        if self._detector is not None:
            self._detector.close()
            self._detector = None
        if self._head is not None:
            self._head.close()
            self._head = None

    def reconfigured(self) -> None:
        if self._detector is not None:
            self._detector.score_threshold = self.config.score_threshold

    @property
    def engine(self) -> str:
        """The engine in use, and why; empty before there is one."""
        return self._detector.chosen if self._detector is not None else ""

    def health(self) -> Health:
        if self._detector is None or self._worker is None:
            return "ok", "inactive", {}
        if self.engine != self._engine:
            self._engine = self.engine
            self.get_logger().info(f"engine: {self._engine}")
        values = {
            "model": f"{self._detector.model} {self._detector.version}",
            "engine": self.engine,
            "bundle": self._bundle.name,
            "bundle_digest": self._bundle.digest,
            **({} if self._rolled is None else self._rolled.values),
            "queue_frames": self._worker.queue_frames,
            "frames": self._stamps.frames,
            "repeated_stamps": self._stamps.repeated,
        }
        trouble = self._stamps.trouble(time.monotonic_ns())
        if self._own is not None:
            values["answered_here"] = self._own.count
            trouble = "; ".join(text for text in (self._own.trouble, trouble) if text)
        return ("warn", trouble, values) if trouble else ("ok", "running", values)

    def _on_frame(self, frame: Frame) -> None:
        frame = self._names.name(frame)
        self._ring.put(frame)
        if self._own is not None:  # before anybody can rule on it: this may not be the executor
            self._own.announced(frame)
        message = convert.frame_key_to_ros(frame.key, frame.frame_id)
        self._entered.publish(message)
        if self._announce.get_subscription_count() > 0:
            self._announce.publish(message.header)
        said = self._stamps.see(frame.key.stamp_ns, time.monotonic_ns())
        if said:
            self.get_logger().warning(f"image_raw: {said}")

    def _on_decision(self, message: Decision) -> None:
        convert.check_deadline(message.deadline_ms, "decision")
        key = convert.key_from_ros(message.header, STREAM, message.id)
        if self._own is not None and not self._own.ruled(key, message):
            return
        if message.route not in (Route.LOCAL.value, Route.SPLIT.value):
            return
        frame = self._ring.get(key)
        frame = frame and as_named(frame, key)
        if message.route == Route.SPLIT.value:
            self._split(key, frame, message)
        elif frame is None:
            self._publish(self._lost(key, message.reason))
        else:
            self._infer(frame, message.reason)

    def _infer(self, frame: Frame, reason: str) -> None:
        if self._worker is not None:
            self._worker.submit(frame, reason)

    def _split(self, key: FrameKey, frame: Frame | None, message: Decision) -> None:
        assert self._head is not None
        if frame is None:
            self._head.fail(key, self._lost(key, "").error)
        else:
            self._head.take(frame, message)

    def frame(self, key: FrameKey) -> Frame | None:
        """A frame that is still here."""
        return self._ring.get(key)

    def take_bundle(self, bundle: Bundle, detector: Detector | AutoDetector) -> None:
        """Use another bundle from the next frame on. Raises ModelError before anything changes."""
        assert self._worker is not None
        assert self._head is not None
        change_head = self._head.prepare(bundle)
        before = self._detector

        def left(detector_left: Any) -> None:
            if detector_left is before:
                self._bundle, self._detector = bundle, detector
                detector.score_threshold = self.config.score_threshold or detector.score_threshold
                change_head()
            detector_left.close()

        self._worker.replace(detector, left)

    @property
    def bundle(self) -> Bundle:
        """The bundle in use."""
        return self._bundle

    @property
    def detector(self) -> Detector | AutoDetector | None:
        """The detector in use."""
        return self._detector

    def _publish(self, result: Result) -> None:
        if self._rolled is not None:
            self._rolled.answered(result)
        frame = self._ring.get(result.key)
        frame_id = frame.frame_id if frame else ""
        if self._own is not None and self._own.inferred(result, frame_id):
            return
        self._results.publish(convert.result_to_ros(result, frame_id))

    def _lost(self, key: FrameKey, reason: str) -> Result:
        return Result(
            key,
            Route.LOCAL,
            Detections.empty(),
            reason=reason,
            error=f"the frame has left the ring of {self.config.ring_frames} frames",
        )


def main() -> int:
    """Entry point of the executable `inference`."""
    return run(InferenceNode)
