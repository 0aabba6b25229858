"""Reads PLUS sequence metafiles (`.igs.mha`, `.mha`, `.mhd`): pictures with poses and time stamps.

A text header, `Seq_Frame0007_ProbeToTrackerTransform = …` for each frame, then all pictures in
one piece, as they are or zlib-compressed; of `.mhd` in a file beside it. One of two dimensions is
one picture, one of four has pictures of a depth of 1. Pictures are read one at a time. SourceError
where the file is damaged, promises more than it holds, or is of a kind that is not known here.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mastra_ros.errors import SourceError

HEADER_BYTES_MAX = 256 * 2**20
FRAMES_MAX = 1_000_000
PIXELS_MAX = 16_384 * 16_384
CHUNK = 1 << 20
FIELD = re.compile(r"Seq_Frame(\d{1,9})_(\w+)\s*=\s*(.*)")
TYPES: dict[str, np.dtype[Any]] = {"MET_UCHAR": np.dtype(np.uint8), "MET_USHORT": np.dtype("<u2")}


@dataclass(frozen=True)
class Metafile:
    """The header of a sequence; `pictures` reads what follows it.

    fields: what is said of each frame, by its number; a frame that nothing is said of has {}.
    spacing_mm and offset_mm: of a volume; 1 and 0 in a sequence. A sequence of poses alone has
    pictures of 0 x 0 px.
    """

    path: Path
    header: dict[str, str]
    size: tuple[int, int, int]  # width, height, frames
    channels: int
    dtype: np.dtype[Any]
    fields: tuple[dict[str, str], ...]
    data_offset: int
    data_path: Path  # where the pictures are: the file itself, or one beside it

    @property
    def orientation(self) -> str:
        """How the axes lie, such as MF or MFA: x to the marked side, y far from the probe."""
        return self.header.get("UltrasoundImageOrientation", "")

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Of the three axes."""
        return _numbers(self.header.get("ElementSpacing", "1 1 1"), 3, "ElementSpacing")

    @property
    def offset_mm(self) -> tuple[float, ...]:
        """Where the first pixel lies."""
        return _numbers(self.header.get("Offset", "0 0 0"), 3, "Offset")

    def stamp_s(self, frame: int, name: str = "Timestamp") -> float | None:
        """The time stamp of a frame; None where it has none, or none that is a number."""
        try:
            stamp = float(self.fields[frame].get(name, "nan"))
        except ValueError:
            return None
        return stamp if np.isfinite(stamp) else None

    def transform(self, frame: int, name: str) -> NDArray[np.float64] | None:
        """`ProbeToTracker` and so on as (4, 4); None where it is missing, not OK, or not finite."""
        said = self.fields[frame]
        text = said.get(f"{name}Transform")
        if text is None or not _ok(said, f"{name}TransformStatus"):
            return None
        try:
            return np.array(_numbers(text, 16, name)).reshape(4, 4)
        except SourceError:
            return None

    def has_picture(self, frame: int) -> bool:
        """Whether the picture of a frame is said to be one, or nothing is said."""
        return _ok(self.fields[frame], "ImageStatus")

    def transforms(self) -> list[str]:
        """Names of the transforms that any frame has, such as ProbeToTracker."""
        names = {k[: -len("Transform")] for f in self.fields for k in f if k.endswith("Transform")}
        return sorted(names)

    def pictures(self) -> Iterator[NDArray[Any]]:
        """Each picture, (height, width) or (height, width, channels), in the order of the file."""
        width, height, frames = self.size
        size = width * height * self.channels * self.dtype.itemsize
        shape = (height, width) if self.channels == 1 else (height, width, self.channels)
        if not size:
            return
        with self._data() as file:
            file.seek(self.data_offset)
            packed = self.header.get("CompressedData", "False").lower() == "true"
            unzip = zlib.decompressobj() if packed else None
            for number in range(frames):
                data = _inflate(file, unzip, size) if unzip else file.read(size)
                if len(data) != size:
                    raise SourceError(
                        f"{self.path}: expected {frames} pictures of {size} bytes, got {number}"
                    )
                yield np.frombuffer(data, self.dtype).reshape(shape)

    def _data(self) -> BinaryIO:
        try:
            return self.data_path.open("rb")
        except OSError as error:
            raise SourceError(f"{self.data_path}: {error.strerror}") from None

    def volume(self) -> NDArray[Any]:
        """All pictures at once, (frames, height, width[, channels])."""
        return np.stack(list(self.pictures()))


def read_metafile(path: str | Path) -> Metafile:
    """Read the header. SourceError where it is not one that we understand."""
    path = Path(path)
    header: dict[str, str] = {}
    said: dict[int, dict[str, str]] = {}
    try:
        with path.open("rb") as file:
            for raw in iter(lambda: file.readline(1 << 20), b""):
                line = raw.decode("latin-1").strip()
                if found := FIELD.fullmatch(line):
                    said.setdefault(int(found[1]), {})[found[2]] = found[3].strip()
                elif "=" in line:
                    name, value = line.split("=", 1)
                    header[name.strip()] = value.strip()
                if line.startswith("ElementDataFile") or file.tell() > HEADER_BYTES_MAX:
                    break
            offset = file.tell()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
    return _checked(path, header, said, offset)


def _checked(
    path: Path, header: dict[str, str], said: dict[int, dict[str, str]], offset: int
) -> Metafile:
    def need(name: str, default: str | None = None) -> str:
        value = header.get(name, default)
        if value is None:
            raise SourceError(f"{path}: expected {name} in the header of a MetaImage, got none")
        return value

    width, height, frames = _sides(path, need("DimSize"), need("NDims", "3"))
    channels = int(_numbers(need("ElementNumberOfChannels", "1"), 1, "channels")[0])
    kind = need("ElementType")
    if width * height and kind not in TYPES:
        raise SourceError(f"{path}: expected an ElementType of {', '.join(TYPES)}, got {kind}")
    if channels not in (1, 3) or width * height > PIXELS_MAX or frames > FRAMES_MAX:
        raise SourceError(
            f"{path}: expected 1 or 3 channels, at most {PIXELS_MAX} px and {FRAMES_MAX} frames, "
            f"got {channels}, {width}x{height} px, {frames}"
        )
    place = need("ElementDataFile")
    if place != "LOCAL" and (
        Path(place).name != place or place in ("", "..") or "\\" in place or "%" in place
    ):
        raise SourceError(
            f"{path}: expected the pictures in the file itself (ElementDataFile = LOCAL) or in one "
            f"beside it, got {place!r:.80}"
        )
    data_path, offset = (path, offset) if place == "LOCAL" else (path.parent / place, 0)
    if header.get("BinaryDataByteOrderMSB", "False").lower() == "true" and kind == "MET_USHORT":
        raise SourceError(f"{path}: expected the low byte first, got BinaryDataByteOrderMSB")
    # A file of poses alone may promise fewer frames than it has poses.
    count = max(frames, 1 + max(said, default=-1)) if width * height == 0 else frames
    if count > FRAMES_MAX:
        raise SourceError(f"{path}: expected at most {FRAMES_MAX} frames, got {count}")
    fields = tuple(said.get(number, {}) for number in range(count))
    return Metafile(
        path, header, (width, height, frames), channels, TYPES.get(kind, TYPES["MET_UCHAR"]),
        fields, offset, data_path,
    )  # fmt: skip


def _sides(path: Path, text: str, dimensions: str) -> tuple[int, int, int]:
    """Width, height and frames."""
    if dimensions not in ("2", "3", "4"):
        raise SourceError(f"{path}: expected NDims of 2, 3 or 4, got {dimensions!r:.20}")
    sides = _numbers(text, int(dimensions), "DimSize")
    if not all(side == int(side) >= 0 for side in sides):
        raise SourceError(f"{path}: expected whole sides in DimSize, got {text}")
    width, height, *rest = (int(side) for side in sides)
    if len(rest) == 2 and width * height and rest[0] != 1:
        raise SourceError(f"{path}: expected pictures of a depth of 1, got {rest[0]}")
    return width, height, rest[-1] if rest else 1


def _ok(said: dict[str, str], name: str) -> bool:
    return said.get(name, "OK").upper() == "OK"


def _inflate(file: BinaryIO, unzip: Any, size: int) -> bytes:
    """The next `size` bytes of a compressed stream, fewer at its end."""
    parts, left = [], size
    while left:
        source = unzip.unconsumed_tail or file.read(CHUNK)
        try:
            part = unzip.decompress(source, left)
        except zlib.error as error:
            raise SourceError(f"pictures: damaged compression: {error}") from None
        if not part and not source:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _numbers(text: str, count: int, name: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in text.split())
    except ValueError:
        numbers = ()
    if len(numbers) != count or not all(np.isfinite(numbers)):
        raise SourceError(f"{name}: expected {count} finite numbers, got {text!r:.80}")
    return numbers
