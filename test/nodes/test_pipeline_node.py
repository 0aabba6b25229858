"""The pipeline node: verdicts for everybody, pictures and markers for who looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

from mastra_ros.msg import InferenceResult, InspectionVerdict
from mastra_ros.nodes import convert, pipeline
from mastra_ros.nodes.frame_bus import FrameBus
from mastra_ros.nodes.frames import FramePublisher
from mastra_ros.nodes.lifecycle import LATEST, RELIABLE
from mastra_ros.types import Detections, Frame, FrameKey, Result, Route


class Line:
    """A pipeline node that takes each frame for a board, and what it says."""

    def __init__(self, ros: Any) -> None:
        overrides = [Parameter("trigger", value="frame")]
        self.node = ros.add(
            pipeline.PipelineNode(bus=FrameBus(), parameter_overrides=overrides, **ros.options)
        )
        assert self.node.autostart()
        self.around = ros.node("around")
        self.images = FramePublisher(self.node, "image_raw")
        self.results = self.around.create_publisher(InferenceResult, "result", RELIABLE)
        self.verdicts = self.hear(InspectionVerdict, "verdict")
        self.stamp_ns = 0

    def hear(self, message: type, topic: str) -> list[Any]:
        heard: list[Any] = []
        self.around.create_subscription(message, topic, heard.append, 10)
        return heard

    def board(self) -> None:
        """A board with one short passes."""
        self.stamp_ns += 1_000_000
        key = FrameKey("main", self.stamp_ns)
        self.images.publish(Frame(key, np.full((48, 64), 200, np.uint8), "mono8", "lens"))
        box, score = np.array([[9, 9, 30, 30]], np.float32), np.array([0.9], np.float32)
        found = Detections(box, score, np.zeros(1, np.int32), ("short",))
        self.results.publish(convert.result_to_ros(Result(key, Route.LOCAL, found), "lens"))


def test_a_board_with_a_defect_is_rejected_and_counted(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    line = Line(ros)
    reports = line.hear(DiagnosticArray, "/diagnostics")
    wait_until(lambda: line.results.get_subscription_count() > 0, "discovery")
    line.board()
    wait_until(lambda: line.verdicts, "the verdict")
    first = line.verdicts[0]
    assert (first.verdict, first.reason, first.rejected) == ("reject", "1 short", 1)
    assert first.header.frame_id == "lens"

    def counted() -> bool:
        values = {v.key: v.value for r in reports for s in r.status for v in s.values}
        return values.get("reject") == "1"

    wait_until(counted, "the count in the diagnostics")


def test_pictures_and_markers_are_made_only_while_somebody_looks(
    ros: Any, wait_until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Result] = []
    draw = pipeline.draw
    monkeypatch.setattr(pipeline, "draw", lambda i, r: drawn.append(r) or draw(i, r))
    line = Line(ros)
    wait_until(lambda: line.results.get_subscription_count() > 0, "discovery")
    line.board()
    wait_until(lambda: line.verdicts, "the verdict")
    assert not drawn, "nobody looks"
    pictures = line.hear(Image, "image_annotated")
    markers = line.hear(MarkerArray, "markers")

    def seen() -> bool:
        line.board()
        return bool(pictures and markers)

    wait_until(seen, "a picture and markers")
    assert pictures[0].encoding == "bgr8"
    assert pictures[0].header.frame_id == "lens"
    assert (pictures[0].width, pictures[0].height) == (64, 48), "as large as image_raw"
    assert len(markers[0].markers) == 3, "wipe, box, label"


def test_who_comes_late_hears_the_last_verdict(ros: Any, wait_until: Callable[..., None]) -> None:
    line = Line(ros)
    heard: list[Any] = []
    line.around.create_subscription(InspectionVerdict, "verdict", heard.append, RELIABLE)
    wait_until(lambda: line.results.get_subscription_count() > 0, "discovery")
    wait_until(lambda: line.node._verdicts.get_subscription_count() == 2, "discovery")
    boards = 30
    for _ in range(boards):
        line.board()
    wait_until(lambda: len(heard) >= boards, "all of them by who listens already")
    late: list[Any] = []
    line.around.create_subscription(InspectionVerdict, "verdict", late.append, LATEST)
    wait_until(lambda: late, "the last verdict")
    assert [v.board for v in late] == [boards]
    assert [v.board for v in heard] == list(range(1, boards + 1))


def test_detections_go_out_where_vision_msgs_is_installed(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    messages = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed")
    line = Line(ros)
    detections = line.hear(messages.Detection2DArray, "detections")

    def seen() -> bool:
        line.board()
        return bool(detections)

    wait_until(seen, "detections")
    assert detections[0].detections[0].results[0].hypothesis.class_id == "short"
