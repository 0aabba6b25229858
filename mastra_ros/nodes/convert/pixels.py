"""The pixels of a sensor_msgs/Image as an array, for every encoding that drivers send.

Where cv_bridge is installed, it is asked for encodings that are not known here; for the others it
gives the same pixels (a test compares them), only with more copies.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from ...errors import FrameError
from ...pictures import PictureReader
from ...types import MAX_SIDE_PX


@dataclass(frozen=True)
class _Packed:
    """Pixels one after the other, each row padded to `step`."""

    encoding: str  # of the frame
    channels: int = 1
    kind: str = "u1"  # numpy's name of a value, without the order of its bytes
    conversion: int | None = None  # of OpenCV; None: as it is
    paired: bool = False  # two pixels share their colour

    def row_bytes(self, width_px: int) -> int:
        pixels = width_px + width_px % 2 if self.paired else width_px
        return pixels * self.channels * int(self.kind[1])


class _Plane(NamedTuple):
    """Rows of one plane; each is padded to `steps` times the step of the message."""

    rows: int
    row_bytes: int
    steps: int = 1


# The Bayer names of OpenCV start at the second pixel of the second row, those of ROS at the first.
_BAYER = {
    "rggb": cv2.COLOR_BayerBG2BGR,
    "bggr": cv2.COLOR_BayerRG2BGR,
    "gbrg": cv2.COLOR_BayerGR2BGR,
    "grbg": cv2.COLOR_BayerGB2BGR,
}
_UYVY = _Packed("bgr8", 2, conversion=cv2.COLOR_YUV2BGR_UYVY, paired=True)
_YUY2 = _Packed("bgr8", 2, conversion=cv2.COLOR_YUV2BGR_YUY2, paired=True)
_PACKED: dict[str, _Packed] = {
    "mono8": _Packed("mono8"),
    "8UC1": _Packed("mono8"),
    "bgr8": _Packed("bgr8", 3),
    "8UC3": _Packed("bgr8", 3),
    "rgb8": _Packed("rgb8", 3),
    "bgra8": _Packed("bgr8", 4, conversion=cv2.COLOR_BGRA2BGR),
    "8UC4": _Packed("bgr8", 4, conversion=cv2.COLOR_BGRA2BGR),
    "rgba8": _Packed("rgb8", 4, conversion=cv2.COLOR_BGRA2BGR),  # drops alpha, keeps the order
    "mono16": _Packed("mono16", 1, "u2"),
    "16UC1": _Packed("mono16", 1, "u2"),
    "bgr16": _Packed("bgr16", 3, "u2"),
    "16UC3": _Packed("bgr16", 3, "u2"),
    "rgb16": _Packed("rgb16", 3, "u2"),
    "bgra16": _Packed("bgr16", 4, "u2", cv2.COLOR_BGRA2BGR),
    "16UC4": _Packed("bgr16", 4, "u2", cv2.COLOR_BGRA2BGR),
    "rgba16": _Packed("rgb16", 4, "u2", cv2.COLOR_BGRA2BGR),
    "32FC1": _Packed("mono16", 1, "f4"),
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUY2,
    "yuyv": _YUY2,
    **{f"bayer_{p}8": _Packed("bgr8", conversion=code) for p, code in _BAYER.items()},
    **{f"bayer_{p}16": _Packed("bgr16", 1, "u2", code) for p, code in _BAYER.items()},
}
_TWO_PLANES = {"nv12": cv2.COLOR_YUV2BGR_NV12, "nv21": cv2.COLOR_YUV2BGR_NV21}
_FULL_PLANES = ("nv24",)
SUPPORTED = (*_PACKED, *_TWO_PLANES, *_FULL_PLANES)


def pixels_from_ros(msg: Image, reader: PictureReader) -> tuple[NDArray[Any], str]:
    """The picture, and the encoding of a frame that it has. Raises FrameError.

    mono8, 8UC1, bgr8, 8UC3 and rgb8 are a view of the message's bytes; the others are converted.
    Those of 16 bits and floats are brought to full scale by `reader`; YUV is that of ITU-R BT.601
    with the narrow range, as in OpenCV and cv_bridge.
    """
    height, width = int(msg.height), int(msg.width)
    if not (0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX):
        raise FrameError(f"image: expected sides of 1 to {MAX_SIDE_PX} px, got {width}x{height} px")
    try:
        if msg.encoding in _PACKED:
            return _from_packed(msg, _PACKED[msg.encoding], reader)
        if msg.encoding in _TWO_PLANES:
            return _from_two_planes(msg), "bgr8"
        if msg.encoding in _FULL_PLANES:
            return _from_full_planes(msg), "bgr8"
    except cv2.error as error:
        raise FrameError(f"image: {msg.encoding} cannot be converted: {error.err}") from error
    by_cv_bridge = _by_cv_bridge(msg)
    if by_cv_bridge is None:
        raise FrameError(_unsupported(msg.encoding))
    return by_cv_bridge, "bgr8"


def mosaic_to_bgr(mosaic: NDArray[Any], encoding: str) -> NDArray[Any] | None:
    """The colours of a Bayer mosaic with this name of ROS; None where it names none."""
    known = _PACKED.get(encoding) if encoding.startswith("bayer_") else None
    if known is None or known.conversion is None:
        return None
    return np.asarray(cv2.cvtColor(mosaic, known.conversion))


def _unsupported(encoding: str) -> str:
    near = [name for name in SUPPORTED if name.lower() == encoding.lower()]
    near = near or difflib.get_close_matches(encoding, SUPPORTED, 1)
    hint = f" (is it {near[0]}?)" if near else ""
    return (
        f"image: encoding {encoding!r} is not supported{hint}; expected an encoding out of "
        f"{', '.join(SUPPORTED)}"
    )


def _from_packed(msg: Image, how: _Packed, reader: PictureReader) -> tuple[NDArray[Any], str]:
    height, width = int(msg.height), int(msg.width)
    rows: NDArray[Any] = _planes(msg, [_Plane(height, how.row_bytes(width))])[0]
    if how.kind != "u1":
        order = ">" if msg.is_bigendian else "<"
        values = np.ascontiguousarray(rows).view(order + how.kind)
        rows = reader.take(values.astype(how.kind, copy=False))
    image = rows if how.channels == 1 else rows.reshape(height, -1, how.channels)
    if how.conversion is None:
        return image, how.encoding
    return np.asarray(cv2.cvtColor(image, how.conversion))[:, :width], how.encoding


def _from_two_planes(msg: Image) -> NDArray[Any]:
    """nv12 and nv21: luma, then a plane of half the size with both colours."""
    height, width = int(msg.height), int(msg.width)
    wide, high = -(-width // 2), -(-height // 2)  # of colours
    luma, colours = _planes(msg, [_Plane(height, width), _Plane(high, 2 * wide)])
    if height % 2 or width % 2:  # OpenCV wants a whole colour for each 2x2 px
        luma = np.pad(luma, ((0, height % 2), (0, width % 2)), mode="edge")
    chroma = colours.reshape(high, wide, 2)
    image = cv2.cvtColorTwoPlane(luma, chroma, _TWO_PLANES[msg.encoding])
    return np.ascontiguousarray(image[:height, :width])


def _from_full_planes(msg: Image) -> NDArray[Any]:
    """nv24: luma, then a plane with both colours of every pixel."""
    height, width = int(msg.height), int(msg.width)
    luma, colours = _planes(msg, [_Plane(height, width), _Plane(height, 2 * width, 2)])
    # OpenCV knows no 4:4:4 of this range: every pixel becomes a pair of its own.
    u, v = cv2.split(colours.reshape(height, width, 2))
    pairs = cv2.merge([luma, u, luma, v]).reshape(height, 2 * width, 2)
    doubled = cv2.cvtColor(pairs, cv2.COLOR_YUV2BGR_YUY2)
    return np.asarray(cv2.resize(doubled, (width, height), interpolation=cv2.INTER_NEAREST))


def _planes(msg: Image, sizes: list[_Plane]) -> list[NDArray[np.uint8]]:
    """Planes one after the other, as (rows, bytes a row) without their padding.

    A step of 0 means no padding. The padding of the very last row may be missing.
    """
    step, first = int(msg.step), sizes[0].row_bytes
    flat = np.frombuffer(msg.data, np.uint8)
    if step == 0 and flat.size == sum(plane.rows * plane.row_bytes for plane in sizes):
        step = first
    if step < first:
        raise FrameError(
            f"image: expected step >= {first} bytes for {msg.width} px of {msg.encoding}, "
            f"got {msg.step}"
        )
    strides = [max(plane.row_bytes, step * plane.steps) for plane in sizes]
    full = sum(plane.rows * stride for plane, stride in zip(sizes, strides, strict=True))
    shortest = full - strides[-1] + sizes[-1].row_bytes
    if not shortest <= flat.size <= full:
        raise FrameError(
            f"image: expected {full} bytes of data (step {step} x height {msg.height}"
            f"{'' if len(sizes) == 1 else ', and colours'}), got {flat.size}"
        )
    if flat.size < full:
        flat = np.pad(flat, (0, full - flat.size))
    found, at = [], 0
    for plane, stride in zip(sizes, strides, strict=True):
        end = at + plane.rows * stride
        found.append(flat[at:end].reshape(plane.rows, stride)[:, : plane.row_bytes])
        at = end
    return found


def _by_cv_bridge(msg: Image) -> NDArray[np.uint8] | None:
    """bgr8 by cv_bridge; None where it is not installed, or does not know the encoding either."""
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except (ImportError, AttributeError):  # the latter: built for another numpy
        return None
    try:
        image = CvBridge().imgmsg_to_cv2(msg, "bgr8")
    except (CvBridgeError, ValueError, TypeError, RuntimeError, KeyError):
        return None
    fits = image.dtype == np.uint8 and image.shape == (msg.height, msg.width, 3)
    return np.ascontiguousarray(image) if fits else None
