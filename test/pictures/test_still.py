"""Picture files of every usual format: whole ones are read as they are meant, parts are refused."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from mastra_ros.errors import FrameError
from mastra_ros.pictures import decode_still_file, still_size

IMAGE = cv2.GaussianBlur(
    np.random.default_rng(2).integers(0, 256, (60, 80, 3), np.uint8), (0, 0), 2
)


def coded(ending: str, image: np.ndarray = IMAGE) -> bytes:
    return cv2.imencode(ending, image)[1].tobytes()


def with_exif(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF segment that names its orientation (CIPA DC-008)."""
    entry = struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0)
    tiff = b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


@pytest.mark.parametrize("ending", [".png", ".tiff", ".bmp", ".ppm", ".webp", ".jpg"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_file_cut_short_is_refused(ending: str, share: float) -> None:
    data = coded(ending)
    assert decode_still_file(data).shape == IMAGE.shape
    with pytest.raises(FrameError):
        decode_still_file(data[: int(len(data) * share)])


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_png_cut_short_is_refused_though_it_has_its_end(share: float) -> None:
    data = coded(".png")
    with pytest.raises(FrameError):
        decode_still_file(data[: int(len(data) * share)] + data[-12:])


@pytest.mark.parametrize("ending", [".png", ".tiff", ".pgm"])
def test_files_of_16_bits_keep_them(ending: str) -> None:
    image = np.arange(60 * 80, dtype=np.uint16).reshape(60, 80) * 13
    assert np.array_equal(decode_still_file(coded(ending, image)), image)


def test_a_tiff_of_floats_keeps_them() -> None:
    image = np.linspace(0, 9, 60 * 80).astype(np.float32).reshape(60, 80)
    assert np.array_equal(decode_still_file(coded(".tiff", image)), image)


@pytest.mark.parametrize(("white", "kind"), [(4095, ">u2"), (1000, ">u2"), (100, "u1")])
def test_a_pgm_says_itself_what_is_white(white: int, kind: str) -> None:
    values = np.linspace(0, white, 60 * 80).astype(kind).reshape(60, 80)
    data = f"P5\n# by a camera\n80 60\n{white}\n".encode() + values.tobytes()
    image = decode_still_file(data)
    full = np.iinfo(image.dtype).max
    assert np.abs(image - values.astype(float) * full / white).max() <= 1
    assert image.max() == full


def turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """What a viewer shows, by the table of EXIF."""
    return {
        1: lambda: image,
        2: lambda: image[:, ::-1],
        3: lambda: image[::-1, ::-1],
        4: lambda: image[::-1],
        5: lambda: image.swapaxes(0, 1),
        6: lambda: np.rot90(image, -1),
        7: lambda: image.swapaxes(0, 1)[::-1, ::-1],
        8: lambda: np.rot90(image, 1),
    }[orientation]()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_turned_as_its_exif_says_unless_told_not_to(orientation: int) -> None:
    stored = decode_still_file(coded(".jpg"))
    data = with_exif(coded(".jpg"), orientation)
    assert np.array_equal(decode_still_file(data), turned(stored, orientation))
    assert np.array_equal(decode_still_file(data, upright=False), stored)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize(("width", "height"), [(80, 60), (1, 1), (333, 17)])
def test_the_size_is_known_before_anything_is_decoded(ending: str, width: int, height: int) -> None:
    for options in ([], [cv2.IMWRITE_WEBP_QUALITY, 50]):
        image = np.full((height, width, 3), 80, np.uint8)
        data = cv2.imencode(ending, image, options)[1].tobytes()
        assert still_size(data) == (width, height)


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"RIFF\0\0\0\0WEBP", b"\x89PNG\r\n\x1a\n", b"P5"]
)
def test_what_is_no_picture_is_one_clear_error(data: bytes) -> None:
    with pytest.raises(FrameError):
        decode_still_file(data)
    with pytest.raises(FrameError):
        still_size(data)
