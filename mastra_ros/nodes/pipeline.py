"""The pipeline node: `result` -> `verdict`, `record`; pictures and markers while somebody looks."""

from __future__ import annotations

import dataclasses
import importlib
import threading
from functools import partial
from typing import Any

from rclpy.duration import Duration
from visualization_msgs.msg import MarkerArray

from ..config import FactoryConfig
from ..msg import InferenceResult, InspectionVerdict
from ..msg import Record as RecordMsg
from ..pictures import eight_bits
from ..pipeline import draw
from ..pipeline.factory import (
    FactoryInspection,
    PictureFolder,
    Verdict,
    VerdictLog,
    VerdictRecords,
)
from ..privacy import ClearedFrame
from ..types import Frame, Result
from . import convert
from .clearing import Clearing
from .frames import STREAM, FramePublisher, listen_to_frames
from .lifecycle import LASTING, LATEST, RELIABLE, Health, StageNode, settings_text
from .naming import picture_of
from .privacy import counts_of, health_of, open_node_gate
from .process import run
from .ring import FrameRing

RING_FRAMES = 24
"""Recent frames kept to draw results on."""
ACKNOWLEDGED_WITHIN = Duration(seconds=0.05)


class PipelineNode(StageNode):
    """Factory inspection: one verdict a board."""

    stage = "pipeline"
    config: FactoryConfig

    def __init__(self, **node_options: Any) -> None:
        self.inspection: FactoryInspection | None = None
        self._log: VerdictLog | None = None
        self._lock = threading.Lock()  # frames may come in the camera's thread
        self._frame_id = ""
        super().__init__(**node_options)

    def set_up(self) -> None:
        config = self.config
        self._gate = open_node_gate(self, lazily=True)  # there may never be a picture to make
        self.on_clean_up(self._gate.close)
        self._clearing = Clearing(self, self._gate)
        self._log = VerdictLog(config.log_path) if config.log_path else None
        self._pictures = (
            PictureFolder(config.pictures_dir, config.pictures_max) if config.pictures_dir else None
        )
        self.inspection = FactoryInspection(config)
        self._ring: FrameRing[None] = FrameRing(RING_FRAMES)
        self._verdict_records = VerdictRecords()
        self._records = self.advertise(RecordMsg, "record", LASTING)
        self._verdicts = self.advertise(InspectionVerdict, "verdict", LATEST)
        self._markers = self.advertise(MarkerArray, "markers", RELIABLE)
        self._annotated = FramePublisher(self, "image_annotated")
        self._detections = None
        if convert.vision_msgs_present():
            messages = importlib.import_module("vision_msgs.msg")
            self._detections = self.advertise(messages.Detection2DArray, "detections", RELIABLE)

    def start(self) -> None:
        listen_to_frames(self, "image_raw", self._on_frame)
        self.listen(InferenceResult, "result", self._on_result, RELIABLE, watch=True)
        self.get_logger().info(f"inspecting: {settings_text(self.config)}")

    def halt(self) -> None:
        if self.inspection is not None:
            self._clearing.finish()

    def tear_down(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None
        self.inspection = None

    def reconfigured(self) -> None:
        if self.inspection is not None:
            self.inspection.configure(self.config)

    def health(self) -> Health:
        if self.inspection is None:
            return "ok", "inactive", {}
        values: dict[str, Any] = {str(k): n for k, n in self.inspection.counts.items()}
        if self._pictures is None and not self._annotated.wanted:
            return "ok", "running", {**values, **counts_of(self._gate)}
        return health_of(self._gate, ("ok", "running", values))

    def finish(self) -> int:
        """No more frames come: judge the boards still open; returns how many verdicts there are."""
        assert self.inspection is not None
        with self._lock:
            self._give(self.inspection.finish())
            self._clearing.finish()
            return sum(self.inspection.counts.values())

    def _on_frame(self, frame: Frame) -> None:
        assert self.inspection is not None
        frame = eight_bits(frame)  # for the locator of boards, and to be drawn on
        self._frame_id = frame.frame_id
        if self._annotated.wanted:
            self._ring.put(frame)
        with self._lock:
            self._give(self.inspection.on_frame(frame))

    def _on_result(self, message: InferenceResult) -> None:
        assert self.inspection is not None
        result = convert.result_from_ros(message, STREAM)
        # Frames that come as messages are known here by their picture.
        result = dataclasses.replace(result, key=picture_of(result.key))
        with self._lock:
            self._give(self.inspection.on_result(result))
        if result.error:
            return
        if self._markers.get_subscription_count() > 0:
            self._markers.publish(convert.markers_to_ros(result.detections, message.header))
        if self._detections is not None and self._detections.get_subscription_count() > 0:
            self._detections.publish(convert.detections2d_to_ros(result.detections, message.header))
        if self._annotated.wanted:
            self._annotate(result)

    def _annotate(self, result: Result) -> None:
        frame = self._ring.get(result.key)
        if frame is not None:
            self._clearing.submit(frame, partial(self._publish_drawn, result))

    def _publish_drawn(self, result: Result, cleared: ClearedFrame) -> None:
        frame = cleared.frame
        # Without the words above it, so that it is as large as `camera_info` and the markers say.
        drawn = draw(cleared, result)[-frame.height_px :]
        self._annotated.publish(Frame(frame.key, drawn, "bgr8", frame.frame_id))

    def _give(self, verdicts: list[Verdict]) -> None:
        assert self.inspection is not None
        for verdict in verdicts:
            counts = self.inspection.counts
            # Only the last one is kept: those who listen must have the one before.
            self._verdicts.wait_for_all_acked(ACKNOWLEDGED_WITHIN)
            self._verdicts.publish(
                convert.verdict_to_ros(
                    verdict,
                    convert.header_to_ros(verdict.key, self._frame_id),
                    passed=counts["pass"],
                    rejected=counts["reject"],
                    reviewed=counts["review"],
                )
            )
            # A bridge that is started again asks for the last ones, and knows those it has had.
            self._records.publish(convert.record_to_ros(self._verdict_records.of(verdict)))
            if self._log is not None:
                self._log.write(verdict)
            if self._pictures is not None and verdict.picture is not None:
                save = partial(self._pictures.save, verdict)
                self._clearing.submit(verdict.picture, save, kept=True)


def main() -> int:
    """Entry point of the executable `pipeline`."""
    return run(PipelineNode)
