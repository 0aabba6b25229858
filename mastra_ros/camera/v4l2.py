"""Cameras of Linux (Video4Linux 2) through OpenCV."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from ..config import CameraConfig
from ..errors import ConfigError, FrameError, SourceError
from ..pictures import PictureReader
from .live import LiveSource, Picture
from .source import Stamper
from .uri import SourceUri

DEEP = ("Y10", "Y12", "Y16")
"""Gray of more than 8 bits in 16, as the kernel names it; the fourth letter is a space."""


class VideoDevice(Protocol):
    """The part of `cv2.VideoCapture` that is used."""

    def read(self) -> tuple[bool, Any]:
        """Whether there was a frame, and the frame."""

    def get(self, prop: int, /) -> float:
        """The value of a property."""

    def release(self) -> None:
        """Close the device."""


class V4l2Capture:
    """One open device. OpenCV gives up on a silent device after 10 s by itself."""

    def __init__(self, device: VideoDevice, name: str) -> None:
        self._device = device
        self.name = name
        rate = float(device.get(cv2.CAP_PROP_FPS))
        self.rate_hz = rate if rate > 0 else None

    def grab(self) -> Picture:
        """The next picture: bgr8, from a gray camera mono8 or mono16."""
        given, image = self._device.read()
        if not given or image is None:
            raise SourceError("the device gives no more frames")
        if image.dtype not in (np.uint8, np.uint16):
            raise FrameError(f"expected uint8 or uint16 from the device, got {image.dtype}")
        if image.ndim == 3 and image.shape[2] == 1:
            image = image[:, :, 0]
        bits = "16" if image.dtype == np.uint16 else "8"
        return Picture(image, ("mono" if image.ndim == 2 else "bgr") + bits, None)

    def release(self) -> None:
        """Close the device."""
        self._device.release()


def open_v4l2(
    uri: SourceUri, config: CameraConfig, stream: str, stamper: Stamper, reader: PictureReader
) -> LiveSource:
    """Open the device with the size and rate asked for; it may choose others near them."""
    path = Path(uri.target)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    if not stat.S_ISCHR(mode):
        raise SourceError(f"{path}: expected a video device, got something else")
    if not os.access(path, os.R_OK | os.W_OK):
        raise SourceError(f"{path}: permission denied; is this user in the group video?")
    wanted: list[int] = []
    fourcc = uri.options.get("fourcc", "")
    if fourcc:
        fourcc = fourcc.ljust(4) if fourcc in DEEP else fourcc
        if len(fourcc) != 4 or not fourcc.isascii():
            raise ConfigError(f"source: fourcc: expected four letters such as MJPG, got {fourcc!r}")
        wanted += [cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*fourcc)]
        if fourcc.strip() in DEEP:  # or OpenCV makes them 8 bits, as if all 16 were used
            wanted += [cv2.CAP_PROP_CONVERT_RGB, 0]
    if config.width_px:
        wanted += [cv2.CAP_PROP_FRAME_WIDTH, config.width_px]
    if config.height_px:
        wanted += [cv2.CAP_PROP_FRAME_HEIGHT, config.height_px]
    if config.rate_hz:
        wanted += [cv2.CAP_PROP_FPS, round(config.rate_hz)]
    device = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
    if not device.isOpened():
        raise SourceError(f"{path}: cannot be opened as a camera; is another program using it?")
    for prop, value in zip(wanted[::2], wanted[1::2], strict=True):
        device.set(prop, value)
    return LiveSource(V4l2Capture(device, str(uri)), config, stream, stamper, reader)
