"""Detections as vision_msgs, where the distribution has them."""

from __future__ import annotations

from typing import Any

from std_msgs.msg import Header

from ...types import Detections


def vision_msgs_present() -> bool:
    """Whether this distribution has vision_msgs."""
    try:
        import vision_msgs.msg  # noqa: F401
    except ImportError:
        return False
    return True


def detections2d_to_ros(detections: Detections, header: Header) -> Any | None:
    """Detections -> vision_msgs/Detection2DArray (centre and size in px); None without vision_msgs.

    The class of a hypothesis is the label in words.
    """
    try:
        from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose
    except ImportError:
        return None
    message = Detection2DArray(header=header)
    for box, score, class_id in zip(
        detections.boxes.tolist(),
        detections.scores.tolist(),
        detections.classes.tolist(),
        strict=True,
    ):
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = detections.labels[class_id]
        hypothesis.hypothesis.score = score
        found = Detection2D(header=header)
        found.results.append(hypothesis)
        found.bbox.center.position.x = (box[0] + box[2]) / 2
        found.bbox.center.position.y = (box[1] + box[3]) / 2
        found.bbox.size_x = box[2] - box[0]
        found.bbox.size_y = box[3] - box[1]
        message.detections.append(found)
    return message
