"""Folders of images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import CameraConfig
from ..errors import FrameError, SourceEnded, SourceError
from ..pictures import PictureReader, decode_still_file
from ..types import Frame, FrameKey
from .drawn.line import FrameTruth
from .source import Stamper

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


class FolderSource:
    """The images of a folder in the order of their names, numbers in them as numbers.

    Gray images give mono8, others bgr8; files of 16 bits or floats give mono16 and bgr16. All are
    turned as their EXIF orientation says. An unreadable one is a FrameError, the rest go on.
    Recorded stamps are the files' times of modification.
    """

    live = False
    rate_hz = None

    def __init__(
        self,
        folder: str,
        config: CameraConfig,
        stream: str,
        stamper: Stamper,
        reader: PictureReader | None = None,
    ) -> None:
        path = Path(folder)
        if not path.is_dir():
            raise SourceError(f"{folder}: no such folder")
        try:
            found = [p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file()]
        except OSError as error:
            raise SourceError(f"{folder}: {error.strerror}") from error
        if not found:
            raise SourceError(f"{folder}: expected images ({', '.join(SUFFIXES)}), found none")
        self.paths = tuple(sorted(found, key=_natural))
        self._config = config
        self._stream = stream
        self._stamper = stamper
        self._reader = reader or PictureReader(config)
        self._next = 0
        self._good = 0  # since the folder was last begun
        self._closed = False

    def read(self, timeout_s: float) -> Frame:  # noqa: ARG002 - a folder has its images at hand
        """The next image; with `loop`, the first again after the last."""
        if self._closed:
            raise SourceError(f"{self.paths[0].parent}: the source is closed")
        if self._next == len(self.paths):
            if not self._config.loop:
                raise SourceEnded(f"the folder's {len(self.paths)} images are read")
            if not self._good:
                raise SourceError(f"none of the folder's {len(self.paths)} images can be read")
            self._next = self._good = 0
        path = self.paths[self._next]
        self._next += 1
        image = self._reader.take(read_image(path))
        recorded_ns = path.stat().st_mtime_ns
        if not self._good:
            self._stamper.start_again(recorded_ns)
        self._good += 1
        key = FrameKey(self._stream, self._stamper.stamp(recorded_ns))
        bits = "8" if image.dtype == np.uint8 else "16"
        encoding = ("mono" if image.ndim == 2 else "bgr") + bits
        return Frame(key, image, encoding, self._config.frame_id)

    def due_ns(self) -> int | None:
        """Images have no times to be shown at."""
        return None

    def truth(self, key: FrameKey) -> FrameTruth | None:  # noqa: ARG002
        """A folder does not say what it shows."""
        return None

    def close(self) -> None:
        """No more images."""
        self._closed = True


def read_image(path: Path) -> NDArray[Any]:
    """An image file as uint8, uint16 or float32: (height, width) gray, else BGR.

    Raises:
        FrameError: it cannot be read, is no image, or is cut short.
    """
    try:
        return decode_still_file(path.read_bytes())
    except OSError as error:
        raise FrameError(f"{path.name}: {error.strerror}") from error
    except FrameError as error:
        raise FrameError(f"{path.name}: {error}") from error


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Sorts board2 before board10; at one place numbers come before letters."""
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p.lower()) for p in parts if p]
