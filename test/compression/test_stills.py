"""Still pictures, and the reading of their headers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastra_ros.compression.headers import StillHeader, read_header
from mastra_ros.compression.stills import SUFFIXES, check_codec, decode_still, encode_still
from mastra_ros.errors import CodecError, DependencyError

ENCODINGS = ("mono8", "bgr8", "rgb8")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("codec", SUFFIXES)
@pytest.mark.parametrize("size", [(64, 48), (1, 1), (37, 5)])
def test_every_codec_carries_every_encoding(scene, codec: str, encoding: str, size) -> None:
    image = scene(*size, encoding)
    data = encode_still(image, encoding, codec, 90)
    back = decode_still(data, encoding, codec, *size)
    assert back.shape == image.shape
    difference = np.abs(back.astype(int) - image)
    # A few pixels with colours shared by four keep little of them.
    lossy = 4 if min(size) > 16 else 20
    assert difference.mean() <= (0 if codec == "png" else lossy)


@pytest.mark.parametrize("smallest", [False, True])
@pytest.mark.parametrize("codec", SUFFIXES)
def test_the_header_says_what_was_encoded(scene, codec: str, smallest: bool) -> None:
    data = encode_still(scene(123, 45), "bgr8", codec, 80, smallest=smallest)
    assert read_header(data) == StillHeader(codec, 123, 45, 3)


def test_a_small_file_that_claims_a_huge_picture_is_refused_before_it_is_decoded(
    monkeypatch,
) -> None:
    """A bomb: 20 kB of PNG that unpack to 300 MB."""
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("was decoded"))
    bomb = cv2.imencode(".png", np.zeros((4000, 4000), np.uint8))[1].tobytes()
    with pytest.raises(
        CodecError, match="expected png of 64x64 px, 1 channels, got png of 4000x4000"
    ):
        decode_still(bomb, "mono8", "png", 64, 64)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "JPEG, PNG, WebP or JPEG-LS"),
        (b"GIF89a" + bytes(20), "JPEG, PNG, WebP or JPEG-LS"),
        (b"\xff\xd8", "ends in its header"),
        (b"\xff\xd8\xff\xe0\x00\x10", "ends in its header"),
        (b"\xff\xd8\xff\xe0\x00\x00\xff\xd9", "segment of 0 bytes"),
        (b"\xff\xd8\xff\xda\x00\x02", "no frame header"),
        (b"\xff\xd8\x00\x00", "expected a marker"),
        (b"\x89PNG\r\n\x1a\n", "ends in its header"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "ends in its header"),
        (b"RIFF\x0c\x00\x00\x00WEBPVP8X\x00\x00\x00\x00", "plain still"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, says: str) -> None:
    with pytest.raises(CodecError, match=says):
        read_header(data)


def test_a_progressive_jpeg_is_refused(scene) -> None:
    data = cv2.imencode(".jpg", scene(64, 64), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    with pytest.raises(CodecError, match="baseline of 8 bits, got SOF2"):
        read_header(data)


def test_a_png_with_other_chunks_or_cut_short_is_refused(scene) -> None:
    data = encode_still(scene(32, 32), "bgr8", "png", 0)
    text = b"\x00\x00\x00\x04zTXt" + b"abcd" + bytes(4)
    with pytest.raises(CodecError, match="unexpected chunk b'zTXt'"):
        read_header(data[:33] + text + data[33:])
    with pytest.raises(CodecError, match="cut short"):
        read_header(data[:-12])


def test_a_picture_that_an_exif_tag_would_turn_keeps_its_shape(scene) -> None:
    data = encode_still(scene(64, 32), "bgr8", "jpeg", 90)
    tiff = (
        b"II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"
        + bytes(4)
    )
    exif = b"Exif\x00\x00" + tiff
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    turned = data[:2] + segment + data[2:]
    assert decode_still(turned, "bgr8", "jpeg", 64, 32).shape == (32, 64, 3)


def test_another_codec_or_channel_count_than_announced_is_refused(scene) -> None:
    gray = encode_still(scene(32, 32, "mono8"), "mono8", "jpeg", 90)
    with pytest.raises(CodecError, match="3 channels, got jpeg of 32x32 px, 1"):
        decode_still(gray, "bgr8", "jpeg", 32, 32)
    with pytest.raises(CodecError, match="expected png"):
        decode_still(gray, "mono8", "png", 32, 32)


@pytest.mark.parametrize("codec", SUFFIXES)
def test_damaged_data_raise_codec_errors_or_decode_to_the_right_shape(scene, codec: str) -> None:
    """Below the checksum of the payload nothing but the codec itself finds damage."""
    rng = np.random.default_rng(3)
    good = encode_still(scene(48, 40), "bgr8", codec, 80)
    for _ in range(300):
        data = bytearray(good)
        for at in rng.integers(0, len(data), int(rng.integers(1, 6))):
            data[at] = int(rng.integers(0, 256))
        cut = int(rng.integers(0, len(data) + 1)) if rng.random() < 0.3 else len(data)
        try:
            image = decode_still(bytes(data[:cut]), "bgr8", codec, 48, 40)
        except CodecError:
            continue
        assert image.shape == (40, 48, 3)


@given(st.binary(max_size=200))
def test_random_bytes_raise_codec_errors(data: bytes) -> None:
    for start in (b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF", b"\xff\xd8\xff\xc0"):
        with pytest.raises(CodecError):
            decode_still(start + data, "bgr8", "jpeg", 9999, 9999)


def test_a_picture_too_large_for_its_codec_is_one_codec_error() -> None:
    with pytest.raises(CodecError, match="webp"):
        encode_still(np.zeros((1, 16384), np.uint8), "mono8", "webp", 80)


def test_a_codec_that_this_opencv_lacks_is_named(monkeypatch) -> None:
    monkeypatch.setattr(cv2, "haveImageWriter", lambda _: False)
    with pytest.raises(DependencyError, match="cannot write webp"):
        check_codec("webp")
