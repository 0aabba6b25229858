"""What rviz shows: markers over the picture, through the camera that the view's file describes.

rviz itself cannot run here; the poses are those of its view controllers (ros2/rviz,
rviz_default_plugins: `orbit_view_controller.cpp`, `fixed_orientation_ortho_view_controller.cpp`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from mastra_ros.nodes.convert.draw import METRES_PER_PX, markers_to_ros
from mastra_ros.types import Detections

ROOT = Path(__file__).resolve().parents[3]
WIDE, HIGH = 900, 700
FOV_Y = math.pi / 4  # Ogre's default, which rviz leaves alone
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Eye:
    """A camera of rviz: where, its axes right, up and backwards, and how it projects."""

    position: Vector
    right: Vector
    up: Vector
    back: Vector
    scale: float = 0.0  # px a metre; 0: perspective

    def project(self, points: Vector) -> Vector:
        """Points (n, 3) in metres -> (n, 2) in px of the window."""
        seen = points - self.position
        x, y, depth = seen @ self.right, seen @ self.up, -(seen @ self.back)
        assert (depth > 0).all(), "behind the camera"
        px = self.scale or HIGH / 2 / math.tan(FOV_Y / 2) / depth
        return np.stack([WIDE / 2 + x * px, HIGH / 2 - y * px], axis=1)


def orbit(view: dict[str, Any]) -> Eye:
    yaw, pitch, above = view["Yaw"], view["Pitch"], np.array([0.0, 0.0, 1.0])
    if view.get("Invert Z Axis", False):
        yaw, pitch, above = -yaw, -pitch, -above
    away = np.array(
        [math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), math.sin(pitch)]
    )
    focus = np.array([view["Focal Point"][axis] for axis in "XYZ"], float)
    right = np.cross(above, away)
    right /= np.linalg.norm(right)
    return Eye(focus + view["Distance"] * away, right, np.cross(away, right), away)


def top_down(view: dict[str, Any]) -> Eye:
    cos, sin = math.cos(view["Angle"]), math.sin(view["Angle"])
    return Eye(
        np.array([view["X"], view["Y"], 500.0]),
        np.array([cos, sin, 0.0]),
        np.array([-sin, cos, 0.0]),
        np.array([0.0, 0.0, 1.0]),
        view["Scale"],
    )


def eye() -> Eye:
    text = (ROOT / "config/factory_inspection.rviz").read_text(encoding="utf-8")
    view = yaml.safe_load(text)["Visualization Manager"]["Views"]["Current"]
    controllers = {
        "rviz_default_plugins/Orbit": orbit,
        "rviz_default_plugins/TopDownOrtho": top_down,
    }
    return controllers[view["Class"]](view)


def on_the_plane(px: Vector) -> Vector:
    """Places in a picture (n, 2) -> points of its plane, as REP-103 has it: x right, y down."""
    return np.column_stack([px * METRES_PER_PX, np.zeros(len(px))])


def shown_picture(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture lying in its plane, as the view shows it."""
    high, wide = image.shape[:2]
    corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float64)
    places = eye().project(on_the_plane(corners)).astype(np.float32)
    warp = cv2.getPerspectiveTransform(corners.astype(np.float32), places)
    return np.asarray(cv2.warpPerspective(image, warp, (WIDE, HIGH)), np.uint8)


def shown_lines(markers: list[Marker]) -> NDArray[np.uint8]:
    canvas = np.zeros((HIGH, WIDE), np.uint8)
    for marker in markers:
        if marker.type == Marker.LINE_LIST and marker.action == Marker.ADD:
            assert marker.pose.orientation.w == 1.0
            points = eye().project(np.array([[p.x, p.y, p.z] for p in marker.points]))
            for start, end in points.round().astype(int).reshape(-1, 2, 2).tolist():
                cv2.line(canvas, tuple(start), tuple(end), 255, 1)
    return canvas


def marked(*boxes: tuple[float, ...]) -> list[Marker]:
    found = Detections(
        np.array(boxes, np.float32),
        np.full(len(boxes), 0.9, np.float32),
        np.zeros(len(boxes), np.int32),
        ("short",),
    )
    return list(markers_to_ros(found, Header(frame_id="belt_camera_optical")).markers)


def test_the_picture_stands_upright_and_is_not_mirrored() -> None:
    origin, right, down = eye().project(
        on_the_plane(np.array([[100, 100], [500, 100], [100, 500]], np.float64))
    )
    assert right[0] - origin[0] > 200
    assert abs(right[1] - origin[1]) < 1
    assert down[1] - origin[1] > 200
    assert abs(down[0] - origin[0]) < 1


@pytest.mark.parametrize("size", [(640, 640), (640, 480)])
def test_the_whole_picture_is_in_the_window(size: tuple[int, int]) -> None:
    corners = np.array([[0, 0], [size[0], 0], list(size), [0, size[1]]], np.float64)
    places = eye().project(on_the_plane(corners))
    assert (places > 0).all()
    assert (places < [WIDE, HIGH]).all()


def test_a_square_picture_is_in_the_middle_and_fills_most_of_the_window() -> None:
    places = eye().project(on_the_plane(np.array([[0, 0], [640, 640]], np.float64)))
    assert places.mean(axis=0) == pytest.approx([WIDE / 2, HIGH / 2], abs=2)
    assert places[1, 1] - places[0, 1] > 0.7 * HIGH


def test_boxes_lie_on_the_edges_of_what_they_mark() -> None:
    """Not one place is on its own mirror image."""
    boxes = [(40, 60, 200, 130), (350, 480, 600, 620), (20, 500, 80, 560)]
    image = np.zeros((640, 640), np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = 255
    shown = shown_picture(image)
    edges = cv2.morphologyEx(shown, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 128
    near = cv2.dilate(edges.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    lines = shown_lines(marked(*boxes)) > 0
    assert lines.sum() > 1000
    assert near[lines].mean() > 0.98, "a line is away from the edge of what it marks"
    reached = cv2.dilate(lines.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert reached[edges].mean() > 0.98, "an edge has no line"


def test_labels_stand_above_their_boxes_in_the_window() -> None:
    markers = marked((350, 480, 600, 620))
    (label,) = [m for m in markers if m.type == Marker.TEXT_VIEW_FACING]
    place = label.pose.position
    (text,) = eye().project(np.array([[place.x, place.y, place.z]]))
    (corner,) = eye().project(on_the_plane(np.array([[350, 480]], np.float64)))
    assert text[1] < corner[1]
