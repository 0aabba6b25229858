"""What was found and decided: ROS messages <-> detections, results, verdicts, decisions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from std_msgs.msg import Header

from mastra_ros.msg import Decision as DecisionMsg
from mastra_ros.msg import Detection as DetectionMsg
from mastra_ros.msg import InferenceResult, InspectionVerdict

from ...errors import MessageError
from ...types import Detections, FrameKey, Result, Route
from .image import header_to_ros, key_from_ros

if TYPE_CHECKING:
    from ...pipeline.factory.inspection import Verdict

SUPERSEDED = "none"
"""Route of a decision that is about a frame which no route takes."""


DEADLINE_MS_MAX = 1e9
"""As on the wire."""


@dataclass(frozen=True)
class DecisionRequest:
    """What a `decision` message asks of the nodes that hold the frame."""

    key: FrameKey
    route: Route
    reason: str
    deadline_ms: float = 0.0  # from the moment of the decision; 0: none
    hard: bool = False
    archive: bool = False


@contextmanager
def understood(message: str) -> Iterator[None]:
    """Turn what a value object refuses into a MessageError that names the message."""
    try:
        yield
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise MessageError(f"{message}: {error}"[:300]) from error


def route_from_ros(text: str, field: str) -> Route:
    """The route that a string field names."""
    try:
        return Route(text)
    except ValueError:
        known = ", ".join(route.value for route in Route)
        raise MessageError(f"{field}: expected one of {known}, got {text!r:.80}") from None


def decision_to_ros(
    header: Header,
    route: Route,
    reason: str,
    *,
    deadline_ms: float = 0.0,
    hard: bool = False,
    archive: bool = False,
    frame_id: str = "",
) -> DecisionMsg:
    """What the scheduler wants done with the frame of this header; `frame_id`: its key's id."""
    return DecisionMsg(
        header=header,
        id=frame_id,
        route=route.value,
        reason=reason,
        deadline_ms=float(deadline_ms),
        hard=hard,
        archive=archive,
    )


def superseded_to_ros(key: FrameKey, frame_id: str = "camera") -> DecisionMsg:
    """The decision that nothing is done with a frame, since a newer one came: no result follows."""
    return DecisionMsg(
        header=header_to_ros(key, frame_id), id=key.id, route=SUPERSEDED, reason="superseded"
    )


def check_deadline(deadline_ms: float, message: str) -> None:
    """Raise MessageError unless a message's deadline is one that may travel on."""
    if not 0.0 <= deadline_ms <= DEADLINE_MS_MAX:
        raise MessageError(
            f"{message}: expected deadline_ms 0 to {DEADLINE_MS_MAX:g}, got {deadline_ms}"
        )


def decision_from_ros(msg: DecisionMsg, stream: str) -> DecisionRequest:
    """mastra_ros/Decision -> DecisionRequest. Raises MessageError."""
    check_deadline(msg.deadline_ms, "decision")
    return DecisionRequest(
        key_from_ros(msg.header, stream, msg.id),
        route_from_ros(msg.route, "decision: route"),
        msg.reason,
        msg.deadline_ms,
        msg.hard,
        msg.archive,
    )


def detections_to_ros(detections: Detections) -> list[DetectionMsg]:
    """Detections -> mastra_ros/Detection[], in the same order."""
    found = zip(
        detections.boxes.tolist(),
        detections.scores.tolist(),
        detections.classes.tolist(),
        strict=True,
    )
    return [
        DetectionMsg(
            x1=x1,
            y1=y1,
            x2=x2,
            y2=y2,
            score=score,
            class_id=class_id,
            label=detections.labels[class_id],
        )
        for (x1, y1, x2, y2), score, class_id in found
    ]


def detections_from_ros(msgs: Sequence[DetectionMsg], labels: Sequence[str]) -> Detections:
    """mastra_ros/Detection[] and the labels of the model -> Detections. Raises MessageError."""
    for msg in msgs:
        if msg.class_id < len(labels) and msg.label != labels[msg.class_id]:
            raise MessageError(
                f"detection: class {msg.class_id} is {labels[msg.class_id]!r:.80}, "
                f"got {msg.label!r:.80}"
            )
    if not all(0.0 <= msg.score <= 1.0 for msg in msgs):
        raise MessageError("detection: expected scores 0 to 1")
    with understood("detection"):
        return Detections(
            np.array([(m.x1, m.y1, m.x2, m.y2) for m in msgs], np.float32).reshape(-1, 4),
            np.array([m.score for m in msgs], np.float32),
            np.array([m.class_id for m in msgs], np.int32),
            tuple(labels),
        )


def result_to_ros(result: Result, frame_id: str = "camera") -> InferenceResult:
    """Result -> mastra_ros/InferenceResult."""
    return InferenceResult(
        header=header_to_ros(result.key, frame_id),
        id=result.key.id,
        origin=result.origin.value,
        detections=detections_to_ros(result.detections),
        labels=list(result.detections.labels),
        model=result.model,
        model_version=result.model_version,
        reason=result.reason,
        final=result.final,
        late=result.late,
        age_ms=float(result.age_ms),
        inference_ms=float(result.inference_ms),
        error=result.error,
    )


def result_from_ros(msg: InferenceResult, stream: str) -> Result:
    """mastra_ros/InferenceResult -> Result. Raises MessageError."""
    if msg.error and msg.detections:
        raise MessageError(
            f"result: {len(msg.detections)} detections beside error {msg.error!r:.80}"
        )
    for field in ("age_ms", "inference_ms"):
        if math.isinf(getattr(msg, field)):
            raise MessageError(f"result: expected {field} or NaN, got {getattr(msg, field)}")
    return Result(
        key=key_from_ros(msg.header, stream, msg.id),
        origin=route_from_ros(msg.origin, "result: origin"),
        detections=detections_from_ros(msg.detections, msg.labels),
        model=msg.model,
        model_version=msg.model_version,
        reason=msg.reason,
        final=msg.final,
        late=msg.late,
        age_ms=msg.age_ms,
        inference_ms=msg.inference_ms,
        error=msg.error,
    )


def verdict_to_ros(
    verdict: Verdict, header: Header, *, passed: int, rejected: int, reviewed: int
) -> InspectionVerdict:
    """Verdict on a board, and the counts so far -> mastra_ros/InspectionVerdict."""
    return InspectionVerdict(
        header=header,
        id=verdict.key.id,
        board=verdict.board,
        verdict=verdict.verdict,
        defects=detections_to_ros(verdict.defects),
        frames=verdict.frames,
        reason=verdict.reason,
        passed=passed,
        rejected=rejected,
        reviewed=reviewed,
    )
