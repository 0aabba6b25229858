"""What frames cost as JPEG, and how small a JPEG may be before the answers change."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

import cv2
import numpy as np

from ...errors import ModelError
from ...inference import Bundle, Detector
from ...types import Detections, Frame
from ..progress import Progress, silent
from .latency import Picture
from .same import same_boxes

QUALITIES = (95, 90, 85, 75, 60, 45, 30, 20, 10, 5)


@dataclass(frozen=True)
class JpegPoint:
    """Frames sent as JPEG of one quality: mean size, and agreement with the uncoded frames."""

    quality: int
    bytes: float
    agreement: float


def picture_cost(bundle: Bundle, frames: Sequence[Frame], quality: int) -> Picture:
    """Sizes, and the times of encoding and decoding, of JPEGs of this quality."""
    sizes, encode_ms, decode_ms = [], [], []
    for frame in frames:
        started = time.perf_counter()
        data = _encoded(frame, quality)
        encoded = time.perf_counter()
        _decoded(frame, data)
        ended = time.perf_counter()
        sizes.append(len(data))
        encode_ms.append((encoded - started) * 1e3)
        decode_ms.append((ended - encoded) * 1e3)
    spec = bundle.input
    return Picture(
        raw_bytes=fmean(frame.image.nbytes for frame in frames),
        input_bytes=float(spec.width_px * spec.height_px * spec.channels),
        jpeg_bytes=fmean(sizes),
        jpeg_quality=quality,
        encode_ms=median(encode_ms),
        decode_ms=median(decode_ms),
    )


def jpeg_curve(
    detector: Detector,
    frames: Sequence[Frame],
    answers: Sequence[Detections],
    progress: Progress = silent,
) -> tuple[JpegPoint, ...]:
    """Size and agreement by quality, the best quality first."""
    points = []
    for quality in progress(QUALITIES, "JPEG qualities"):
        coded = [_encoded(frame, quality) for frame in frames]
        found = [
            detector.detect(_decoded(frame, data))
            for frame, data in zip(frames, coded, strict=True)
        ]
        size = fmean(len(data) for data in coded)
        points.append(JpegPoint(quality, size, same_boxes(found, answers)))
    return tuple(points)


def equal_jpeg(curve: Sequence[JpegPoint], agreement: float) -> JpegPoint | None:
    """The smallest JPEG whose answers agree at least so well, all better ones doing so too.

    None where even the best does not.
    """
    found = None
    for point in curve:
        if point.agreement < agreement:
            break
        found = point
    return found


def _encoded(frame: Frame, quality: int) -> bytes:
    image = frame.image
    if frame.encoding == "rgb8":
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), np.uint8)
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ModelError(f"a frame of {image.shape} cannot be encoded as JPEG")
    return bytes(data)


def _decoded(frame: Frame, data: bytes) -> Frame:
    flag = cv2.IMREAD_GRAYSCALE if frame.encoding == "mono8" else cv2.IMREAD_COLOR
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if image is None:
        raise ModelError("a JPEG of our own cannot be decoded")
    encoding = "mono8" if frame.encoding == "mono8" else "bgr8"
    return Frame(frame.key, np.asarray(image, np.uint8), encoding)
