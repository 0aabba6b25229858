"""Detections for viewers: markers."""

from __future__ import annotations

import colorsys

from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from ...types import Detections

METRES_PER_PX = 0.001


def markers_to_ros(
    detections: Detections,
    header: Header,
    *,
    metres_per_px: float = METRES_PER_PX,
    namespace: str = "detections",
) -> MarkerArray:
    """Detections -> boxes and labels in the plane z = 0 of the header's frame, y downwards.

    A pixel is `metres_per_px` wide. The first marker removes those of the frame before.
    """
    wipe = Marker(header=header, ns=namespace, action=Marker.DELETEALL)
    message = MarkerArray(markers=[wipe])
    if not len(detections):
        return message
    boxes = _marker(header, namespace, 0, Marker.LINE_LIST)
    boxes.scale.x = 2 * metres_per_px
    message.markers.append(boxes)
    for i, (box, score, class_id) in enumerate(
        zip(
            detections.boxes.tolist(),
            detections.scores.tolist(),
            detections.classes.tolist(),
            strict=True,
        )
    ):
        x1, y1, x2, y2 = (value * metres_per_px for value in box)
        corners = [Point(x=x, y=y) for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))]
        colour = _colour(class_id, len(detections.labels))
        for start, end in zip(corners, [*corners[1:], corners[0]], strict=True):
            boxes.points += [start, end]
            boxes.colors += [colour, colour]
        text = _marker(header, namespace, i + 1, Marker.TEXT_VIEW_FACING)
        text.pose.position.x = (x1 + x2) / 2
        text.pose.position.y = y1 - 8 * metres_per_px
        text.scale.z = 12 * metres_per_px
        text.color = colour
        text.text = f"{detections.labels[class_id]} {score:.2f}"
        message.markers.append(text)
    return message


def _marker(header: Header, namespace: str, number: int, kind: int) -> Marker:
    marker = Marker(header=header, ns=namespace, id=number, type=kind, action=Marker.ADD)
    marker.pose.orientation.w = 1.0
    return marker


def _colour(class_id: int, classes: int) -> ColorRGBA:
    """A colour of its own for each class: hues spread evenly."""
    r, g, b = colorsys.hsv_to_rgb(class_id / max(classes, 1), 1.0, 1.0)
    return ColorRGBA(r=r, g=g, b=b, a=1.0)
