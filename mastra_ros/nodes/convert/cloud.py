"""Points and surfaces of a volume -> PointCloud2 and markers. ROS counts in m."""

from __future__ import annotations

import colorsys
from array import array
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

POINT_BYTES = 16
METRES = 0.001


def points_to_ros(points: NDArray[np.float32], header: Header) -> PointCloud2:
    """(n, 4) x, y, z in mm and gray level -> PointCloud2 with x, y, z in m and intensity."""
    told = np.ascontiguousarray(points, "<f4") * np.array([METRES] * 3 + [1.0], "<f4")
    data = array("B")
    data.frombytes(told.tobytes())
    names = ("x", "y", "z", "intensity")
    fields = [
        PointField(name=name, offset=4 * place, datatype=PointField.FLOAT32, count=1)
        for place, name in enumerate(names)
    ]
    return PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=POINT_BYTES,
        row_step=POINT_BYTES * len(points),
        data=data,
        is_dense=True,
    )


def meshes_to_ros(
    meshes: Sequence[tuple[str, NDArray[np.float32], NDArray[np.int32]]], note: str, header: Header
) -> MarkerArray:
    """Names, vertices (n, 3) in mm and faces (m, 3) -> a list of triangles each, and the note.

    The first marker removes those of the sweep before.
    """
    message = MarkerArray(markers=[Marker(header=header, ns="volume", action=Marker.DELETEALL)])
    for number, (name, vertices, faces) in enumerate(meshes):
        marker = _marker(header, number, Marker.TRIANGLE_LIST)
        red, green, blue = colorsys.hsv_to_rgb(number * 0.618 % 1.0, 0.6, 0.95)
        marker.color = ColorRGBA(r=red, g=green, b=blue, a=0.8)
        marker.scale.x = marker.scale.y = marker.scale.z = 1.0
        marker.text = name
        corners = (np.asarray(vertices, np.float64) * METRES)[faces.ravel()]
        marker.points = [Point(x=x, y=y, z=z) for x, y, z in corners.tolist()]
        message.markers.append(marker)
    text = _marker(header, len(meshes), Marker.TEXT_VIEW_FACING)
    text.text, text.scale.z = note, 0.004
    text.color = ColorRGBA(r=1.0, g=0.8, b=0.0, a=1.0)
    message.markers.append(text)
    return message


def _marker(header: Header, number: int, kind: int) -> Marker:
    marker = Marker(header=header, ns="volume", id=number, type=kind)
    marker.pose.orientation.w = 1.0
    return marker
