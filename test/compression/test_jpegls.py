"""JPEG-LS: lossless, or off by a declared error; gray and colour, 8 bits and deeper."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastra_ros.compression import Decoder, Encoder, StreamEncoder
from mastra_ros.compression.headers import StillHeader, read_header
from mastra_ros.compression.jpegls import load_charls
from mastra_ros.compression.payload import unpack
from mastra_ros.compression.stills import check_codec, decode_still, encode_still
from mastra_ros.config.pictures import PictureConfig
from mastra_ros.errors import CodecError, DependencyError
from mastra_ros.pictures import PictureReader, eight_bits

pytest.importorskip("jpeg_ls", reason="pyjpegls is not installed")

ENCODINGS = ("mono8", "bgr8", "rgb8", "mono16", "bgr16", "rgb16")


def noisy(scene, encoding: str, size=(61, 43), seed: int = 0) -> np.ndarray:
    """Pixels that use the whole scale of their type, black and white among them."""
    image = scene(*size, encoding, seed)
    rng = np.random.default_rng(seed)
    if encoding.endswith("16"):
        image = image.astype(np.uint16) * 257
        image ^= rng.integers(0, 400, image.shape, dtype=np.uint16)
    image[:3, :3], image[-3:, -3:] = 0, np.iinfo(image.dtype).max
    return image


@pytest.mark.parametrize("codec", ["jpegls", "png"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("size", [(61, 43), (16, 16), (300, 2)])
def test_every_pixel_comes_back(scene, codec: str, encoding: str, size) -> None:
    image = noisy(scene, encoding, size)
    data = encode_still(image, encoding, codec, 85)
    assert np.array_equal(decode_still(data, encoding, codec, *size), image)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("error_max", [1, 2, 7])
def test_no_pixel_is_off_by_more_than_the_error_declared(
    scene, encoding: str, error_max: int
) -> None:
    image = noisy(scene, encoding)
    data = encode_still(image, encoding, "jpegls", 85, error_max=error_max)
    back = decode_still(data, encoding, "jpegls", 61, 43)
    worst = np.abs(back.astype(int) - image).max()
    assert 0 < worst <= error_max
    assert len(data) < len(encode_still(image, encoding, "jpegls", 85))


@pytest.mark.parametrize("bits", [9, 10, 12, 14, 15])
def test_a_sensor_of_fewer_bits_costs_no_more_for_the_stretch_to_sixteen(bits: int) -> None:
    """Stretched values would cost four bits a pixel more at 12, and tell nothing more."""
    rng = np.random.default_rng(bits)
    measured = np.cumsum(rng.integers(0, 3, (64, 64)), axis=1).astype(np.uint16)
    measured[0, 0] = (1 << bits) - 1
    stretched = PictureReader(PictureConfig(bit_depth=bits)).take(measured)
    data = encode_still(stretched, "mono16", "jpegls", 85)
    assert np.array_equal(decode_still(data, "mono16", "jpegls", 64, 64), stretched)
    as_sixteen = load_charls().encode_buffer(stretched.tobytes(), 64, 64, 1, 16)
    saved_bits = 8 * (len(as_sixteen) - len(data)) / stretched.size
    assert saved_bits > 0.8 * (16 - bits)
    assert read_header(data) == StillHeader("jpegls", 64, 64, 1, 16)


def test_an_ultrasound_frame_takes_fewer_bytes_than_as_png(data_folder) -> None:
    from bench.ultrasound_frames import sweep

    frame = sweep(data_folder)[5]
    height, width = frame.shape
    data = encode_still(frame, "mono8", "jpegls", 85)
    assert np.array_equal(decode_still(data, "mono8", "jpegls", width, height), frame)
    assert len(data) < 0.9 * len(encode_still(frame, "mono8", "png", 85))
    near = encode_still(frame, "mono8", "jpegls", 85, error_max=2)
    assert len(near) < 0.55 * len(data)


@pytest.mark.parametrize("codec", ["jpegls", "png"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_change_of_one_step_in_one_pixel_arrives(
    config_of, scene, frame_of, codec: str, encoding: str
) -> None:
    encoder = Encoder(config_of(codec=codec, change_threshold=0.0, key_share=1.0))
    encoder.peer(("16bit", "jpegls"))
    decoder = Decoder()
    image = noisy(scene, encoding, (100, 70))
    for number in range(1, 6):
        image = image.copy()
        image[7 * number, 11 * number] ^= 1
        arrived = decoder.decode(encoder.encode(frame_of(image, number, encoding)))
        assert arrived.encoding == encoding
        assert np.array_equal(arrived.image, image)
        encoder.acknowledge(number)
    assert encoder.reference_ns == 5


def test_the_declared_error_holds_over_many_deltas(config_of, scene, frame_of) -> None:
    """Tiles that are not sent anew are those in which no pixel has changed."""
    encoder = Encoder(config_of(codec="jpegls", error_max=3, key_share=1.0))
    encoder.peer(("jpegls",))
    decoder = Decoder()
    rng = np.random.default_rng(1)
    image = noisy(scene, "mono8", (96, 96))
    for number in range(1, 20):
        image = image.copy()
        at = rng.integers(0, 96, 2)
        image[at[0] :, at[1] : at[1] + 9] += rng.integers(0, 3, dtype=np.uint8)
        arrived = decoder.decode(encoder.encode(frame_of(image, number, "mono8")))
        assert np.abs(arrived.image.astype(int) - image).max() <= 3
        encoder.acknowledge(number)


def test_a_frame_of_16_bits_goes_with_8_to_a_gateway_that_has_not_said_it_takes_16(
    config_of, scene, frame_of
) -> None:
    encoder = Encoder(config_of(codec="jpegls"))
    frame = frame_of(noisy(scene, "mono16"), 1, "mono16")
    packet = encoder.encode(frame)
    assert packet.encoding == "mono8"
    # Without `jpegls` in its welcome it is sent what every version reads, and no pixel is lost.
    assert np.array_equal(Decoder().decode(packet).image, eight_bits(frame.frame).image)
    assert unpack(packet)[0].codec == "png"


def test_what_may_wait_in_the_spool_is_read_by_every_gateway(config_of, scene, frame_of) -> None:
    encoder = StreamEncoder(config_of(codec="jpegls"))
    encoder.peer(("h264", "16bit", "jpegls"))
    frame = frame_of(noisy(scene, "mono16"), 1, "mono16")
    assert encoder.encode(frame).encoding == "mono16"
    late = encoder.encode(frame, late=True)
    assert (late.encoding, unpack(late)[0].codec) == ("mono8", "png")


def test_sixteen_bits_in_a_lossy_codec_are_refused(scene) -> None:
    with pytest.raises(CodecError, match="jpeg: expected pixels of 8 bits, got mono16"):
        encode_still(noisy(scene, "mono16"), "mono16", "jpeg", 85)


def test_another_depth_than_announced_is_refused(scene) -> None:
    data = encode_still(noisy(scene, "mono16"), "mono16", "jpegls", 85)
    with pytest.raises(CodecError, match="expected jpegls of 61x43 px, 1 channels, got"):
        decode_still(data, "mono8", "jpegls", 61, 43)


def test_a_header_that_claims_a_huge_picture_is_refused_before_it_is_decoded(
    scene, monkeypatch
) -> None:
    import jpeg_ls.CharLS

    monkeypatch.setattr(jpeg_ls.CharLS, "decode_buffer", lambda _: pytest.fail("was decoded"))
    data = bytearray(encode_still(scene(32, 32, "mono8"), "mono8", "jpegls", 85))
    data[7:11] = b"\xff\xff\xff\xff"
    with pytest.raises(CodecError, match="got jpegls of 65535x65535"):
        decode_still(bytes(data), "mono8", "jpegls", 32, 32)


@pytest.mark.parametrize("encoding", ["mono8", "bgr8", "mono16"])
def test_data_that_end_early_are_refused_before_the_library_sees_them(
    scene, monkeypatch, encoding: str
) -> None:
    import jpeg_ls.CharLS

    good = encode_still(noisy(scene, encoding), encoding, "jpegls", 80)
    monkeypatch.setattr(jpeg_ls.CharLS, "decode_buffer", lambda _: pytest.fail("was decoded"))
    for cut in range(len(good)):
        with pytest.raises(CodecError):
            decode_still(good[:cut], encoding, "jpegls", 61, 43)


@pytest.mark.parametrize("encoding", ["mono8", "bgr8", "mono16"])
def test_damaged_data_raise_codec_errors_or_decode_to_the_right_shape(scene, encoding: str) -> None:
    rng = np.random.default_rng(3)
    image = noisy(scene, encoding)
    good = encode_still(image, encoding, "jpegls", 80)
    for _ in range(400):
        data = bytearray(good)
        span = 40 if rng.random() < 0.5 else len(data)  # the headers too
        for at in rng.integers(0, span, int(rng.integers(1, 6))):
            data[at] = int(rng.integers(0, 256))
        cut = int(rng.integers(0, len(data) + 1)) if rng.random() < 0.3 else len(data)
        try:
            back = decode_still(bytes(data[:cut]), encoding, "jpegls", 61, 43)
        except CodecError:
            continue
        assert back.shape == image.shape
        assert back.dtype == image.dtype


@given(st.binary(max_size=200))
def test_random_bytes_raise_codec_errors(data: bytes) -> None:
    with pytest.raises(CodecError):
        decode_still(b"\xff\xd8\xff\xf7" + data, "mono8", "jpegls", 9999, 9999)


def test_a_machine_without_the_library_is_told_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jpeg_ls.CharLS", None)
    with pytest.raises(DependencyError, match="pip install pyjpegls"):
        check_codec("jpegls")


def test_a_png_of_16_bits_is_what_opencv_reads(scene) -> None:
    image = noisy(scene, "mono16")
    data = encode_still(image, "mono16", "png", 85)
    assert np.array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), -1), image)
