"""Detections, results, verdicts and decisions survive the way through ROS messages."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

pytest.importorskip("mastra_ros.msg", reason="needs the built messages: source env.sh")

from rclpy.serialization import deserialize_message, serialize_message
from visualization_msgs.msg import Marker

from mastra_ros.errors import MessageError
from mastra_ros.msg import Decision, InferenceResult, InspectionVerdict
from mastra_ros.nodes import convert
from mastra_ros.pipeline.factory.inspection import Verdict
from mastra_ros.types import Detections, FrameKey, Result, Route

KEY = FrameKey("main", 1_700_000_000_123_456_789)
LABELS = ("open", "short", "mousebite")


def sent(message: object) -> object:
    """The message as a subscriber gets it."""
    return deserialize_message(serialize_message(message), type(message))


def some_detections() -> Detections:
    return Detections(
        np.array([[1.25, 2.5, 30.1, 40.7], [0, 0, 639.9, 479.3]], np.float32),
        np.array([0.987, 0.1], np.float32),
        np.array([2, 0], np.int32),
        LABELS,
    )


def a_result(**changes: object) -> Result:
    result = Result(
        KEY,
        Route.CLOUD,
        some_detections(),
        model="board_defects",
        model_version="1.2",
        reason="load 0.9",
        final=False,
        late=True,
        age_ms=81.5,
        inference_ms=12.25,
    )
    return dataclasses.replace(result, **changes)


def same(one: Detections, other: Detections) -> bool:
    return (
        np.array_equal(one.boxes, other.boxes)
        and np.array_equal(one.scores, other.scores)
        and np.array_equal(one.classes, other.classes)
        and one.labels == other.labels
    )


@pytest.mark.parametrize("detections", [some_detections(), Detections.empty(LABELS)])
def test_detections_come_back_exactly(detections: Detections) -> None:
    back = convert.detections_from_ros(convert.detections_to_ros(detections), LABELS)
    assert same(back, detections)
    assert back.boxes.dtype == np.float32
    assert back.classes.dtype == np.int32


@pytest.mark.parametrize("origin", list(Route))
def test_a_result_comes_back_exactly(origin: Route) -> None:
    result = a_result(origin=origin)
    back = convert.result_from_ros(sent(convert.result_to_ros(result, "lens")), "main")
    assert same(back.detections, result.detections)
    for field in dataclasses.fields(Result):
        if field.name != "detections":
            assert getattr(back, field.name) == getattr(result, field.name), field.name


def test_a_result_keeps_what_is_not_known_and_what_failed() -> None:
    failed = Result(KEY, Route.LOCAL, Detections.empty(), error="model: no memory")
    back = convert.result_from_ros(sent(convert.result_to_ros(failed)), "main")
    assert math.isnan(back.age_ms)
    assert math.isnan(back.inference_ms)
    assert back.error == "model: no memory"
    assert len(back.detections) == 0


def broken(**changes: object) -> InferenceResult:
    message = convert.result_to_ros(a_result())
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (broken(origin="moon"), "result: origin: expected one of local, split, cloud, got 'moon'"),
        (broken(origin=""), "got ''"),
        (broken(labels=["open"]), "classes outside 0..0"),
        (broken(labels=["a", "b", "c"]), "class 2 is 'c', got 'mousebite'"),
        (broken(error="failed"), "2 detections beside error 'failed'"),
    ],
)
def test_a_result_that_makes_no_sense_is_one_clear_error(
    message: InferenceResult, says: str
) -> None:
    with pytest.raises(MessageError, match=says):
        convert.result_from_ros(message, "main")


def test_boxes_that_are_not_finite_are_refused() -> None:
    message = convert.result_to_ros(a_result())
    message.detections[0].x1 = math.inf
    with pytest.raises(MessageError, match="boxes are not finite"):
        convert.result_from_ros(message, "main")


@pytest.mark.parametrize("route", list(Route))
def test_a_decision_comes_back_exactly(route: Route) -> None:
    header = convert.header_to_ros(KEY, "lens")
    message = sent(
        convert.decision_to_ros(
            header, route, "load 0.9 > 0.8", deadline_ms=150.0, hard=True, archive=True
        )
    )
    assert isinstance(message, Decision)
    assert message.header == header
    assert convert.decision_from_ros(message, "main") == convert.DecisionRequest(
        KEY, route, "load 0.9 > 0.8", 150.0, True, True
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"route": "LOCAL"}, "decision: route: expected one of local, split, cloud, got 'LOCAL'"),
        ({"route": "local", "deadline_ms": -1.0}, "expected deadline_ms 0 to 1e.09, got -1.0"),
        ({"route": "local", "deadline_ms": math.nan}, "expected deadline_ms 0 to 1e.09, got nan"),
    ],
)
def test_a_decision_that_makes_no_sense_is_one_clear_error(
    changes: dict[str, object], says: str
) -> None:
    with pytest.raises(MessageError, match=says):
        convert.decision_from_ros(Decision(**changes), "main")


def test_a_verdict_is_told_whole() -> None:
    verdict = Verdict(
        board=7,
        verdict="reject",
        reason="mousebite in 4 of 5 frames",
        key=KEY,
        first_stamp_ns=KEY.stamp_ns - 1,
        frames=5,
        defects=some_detections(),
        doubtful=Detections.empty(LABELS),
    )
    header = convert.header_to_ros(KEY, "lens")
    message = sent(convert.verdict_to_ros(verdict, header, passed=4, rejected=2, reviewed=1))
    assert isinstance(message, InspectionVerdict)
    assert message.header == header
    assert (message.board, message.verdict, message.frames) == (7, "reject", 5)
    assert message.reason == "mousebite in 4 of 5 frames"
    assert (message.passed, message.rejected, message.reviewed) == (4, 2, 1)
    assert same(convert.detections_from_ros(message.defects, LABELS), verdict.defects)


def test_markers_draw_each_box_and_name_it() -> None:
    header = convert.header_to_ros(KEY, "lens")
    wipe, boxes, *texts = convert.markers_to_ros(
        some_detections(), header, metres_per_px=0.01
    ).markers
    assert wipe.action == Marker.DELETEALL
    assert boxes.type == Marker.LINE_LIST
    assert len(boxes.points) == len(boxes.colors) == 2 * 8
    corners = [(point.x, point.y) for point in boxes.points[:2]]
    assert np.allclose(corners, [(0.0125, 0.025), (0.301, 0.025)])
    assert [text.text for text in texts] == ["mousebite 0.99", "open 0.10"]
    assert len({(m.ns, m.id) for m in (boxes, *texts)}) == 3
    assert all(m.header == header for m in (wipe, boxes, *texts))
    assert boxes.colors[0] != boxes.colors[8]


def test_markers_of_no_detections_only_wipe() -> None:
    markers = convert.markers_to_ros(Detections.empty(), convert.header_to_ros(KEY)).markers
    assert [marker.action for marker in markers] == [Marker.DELETEALL]


def test_detections_for_other_tools_need_vision_msgs() -> None:
    header = convert.header_to_ros(KEY, "lens")
    if not convert.vision_msgs_present():
        assert convert.detections2d_to_ros(some_detections(), header) is None
        pytest.skip("vision_msgs is not installed")
    message = convert.detections2d_to_ros(some_detections(), header)
    assert message is not None
    assert message.header == header
    first = message.detections[0]
    assert first.results[0].hypothesis.class_id == "mousebite"
    assert first.bbox.size_x == pytest.approx(28.85)
    assert first.bbox.center.position.y == pytest.approx(21.6)
