"""Each encoder that this machine has, with the decoder that hears it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mastra_ros.compression.codecs import (
    CODECS,
    FORMATS,
    FREE_FORMATS,
    fault_of,
    open_decoder,
    open_encoder,
    opens,
    readable_formats,
    writable_formats,
)
from mastra_ros.compression.codecs.bitstream import check_one_picture
from mastra_ros.compression.codecs.encoding import PyavEncoder
from mastra_ros.errors import CodecError

HERE = [name for name in CODECS if opens(name)]
EACH_FORMAT = [name for name in ("x264-ultrafast", "vp9-8", "av1-12") if name in HERE]


def coded(name: str, images, encoding: str = "bgr8", quality: int = 60) -> list[bytes]:
    """Images in a row as packets; only the first is a key."""
    encoder = open_encoder(name)
    made = [
        encoder.encode(image, encoding, key=number == 0, quality=quality)
        for number, image in enumerate(images)
    ]
    assert [one.key for one in made] == [number == 0 for number in range(len(made))]
    return [one.data for one in made]


def moved(scene, size=(128, 96), encoding="bgr8", count=4):
    image = scene(*size, encoding)
    return [np.ascontiguousarray(np.roll(image, 2 * n, axis=1)) for n in range(count)]


def test_the_software_encoders_work_here() -> None:
    assert EACH_FORMAT == ["x264-ultrafast", "vp9-8", "av1-12"], [fault_of(n) for n in CODECS]
    assert readable_formats() == writable_formats() == FORMATS


def test_the_royalty_free_bitstreams_are_vp9_and_av1() -> None:
    assert {spec.format for spec in CODECS.values() if spec.free} == FREE_FORMATS == {"vp9", "av1"}


@pytest.mark.parametrize("encoding", ["mono8", "bgr8", "rgb8"])
@pytest.mark.parametrize("size", [(128, 96), (101, 75)])
@pytest.mark.parametrize("name", EACH_FORMAT)
def test_pictures_arrive_in_every_codec_encoding_and_odd_size(scene, name, size, encoding) -> None:
    images = moved(scene, size, encoding)
    decoder = open_decoder(CODECS[name].format, encoding, *size)
    for data, image in zip(coded(name, images, encoding, 85), images, strict=True):
        seen = decoder.decode(data)
        assert seen.shape == image.shape
        assert np.abs(seen.astype(int) - image).mean() < 6


@pytest.mark.parametrize("name", EACH_FORMAT)
def test_two_decoders_agree_to_the_last_bit(scene, name) -> None:
    packets = coded(name, moved(scene))
    first, second = (open_decoder(CODECS[name].format, "bgr8", 128, 96) for _ in range(2))
    for data in packets:
        assert np.array_equal(first.decode(data), second.decode(data))


@pytest.mark.parametrize("name", EACH_FORMAT)
def test_a_key_frame_comes_when_asked_for_and_where_nothing_less_will_do(scene, name) -> None:
    encoder = open_encoder(name)
    image = scene(128, 96)

    def is_key(picture, *, key: bool = False, quality: int = 50) -> bool:
        return encoder.encode(picture, "bgr8", key=key, quality=quality).key

    assert is_key(image)
    assert not is_key(image)
    assert is_key(image, key=True)
    assert not is_key(image)
    assert is_key(image, quality=90) == (not CODECS[name].live_range)
    assert is_key(scene(160, 96), quality=90)
    assert not is_key(scene(160, 96), quality=90)


LIVE = [name for name in EACH_FORMAT if CODECS[name].live_range]


def speckle(number: int):
    """A picture of grain that moves by some pixels."""
    rng = np.random.default_rng(2)
    grain = rng.integers(40, 200, (36, 48, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    noise = np.random.default_rng(number).integers(0, 24, grain.shape, np.uint8)
    return np.roll(grain, 3 * number, axis=1) + noise


def sizes_of(name: str, qualities: list[int], *, keys: tuple[int, ...] = (0,)) -> list[int]:
    """Bytes of pictures of grain in a row, all decoded."""
    encoder = open_encoder(name)
    decoder = open_decoder(CODECS[name].format, "bgr8", 384, 288)
    sizes = []
    for number, quality in enumerate(qualities):
        picture = speckle(number)
        made = encoder.encode(picture, "bgr8", key=number in keys, quality=quality)
        assert made.key == (number in keys)
        decoder.decode(made.data)
        sizes.append(len(made.data))
    return sizes


@pytest.mark.parametrize("name", LIVE)
def test_a_picture_of_another_quality_leaves_those_behind_it_as_they_were(name) -> None:
    even = sizes_of(name, [60] * 12)
    for other, way in ((80, 1), (35, -1)):
        once = sizes_of(name, [60] * 6 + [other] + [60] * 5)
        assert way * (once[6] - even[6]) > 0.2 * even[6]
        assert once[8:] == pytest.approx(even[8:], rel=0.3)


@pytest.mark.parametrize("name", LIVE)
@pytest.mark.parametrize(("quality", "way"), [(35, -1), (80, 1)])
def test_a_quality_taken_on_the_way_counts_for_all_behind_it_keys_too(name, quality, way) -> None:
    keys = (0, 10)
    even, begun = (sizes_of(name, [q] * 14, keys=keys) for q in (60, quality))
    taken = sizes_of(name, [60] * 3 + [quality] * 11, keys=keys)
    assert way * (sum(taken[4:10]) - sum(even[4:10])) > 0.3 * sum(even[4:10])
    assert way * (taken[10] - even[10]) > 0.3 * even[10]
    if name == "vp9-8":  # it costs what it costs from the beginning
        assert sum(taken[4:10]) == pytest.approx(sum(begun[4:10]), rel=0.4)
        assert taken[10] == pytest.approx(begun[10], rel=0.1)


@pytest.mark.parametrize("name", EACH_FORMAT)
def test_more_quality_costs_more_bytes_and_is_more_like_the_picture(scene, name) -> None:
    rng = np.random.default_rng(1)
    texture = rng.integers(-30, 30, (64, 96, 1)).repeat(2, axis=0).repeat(2, axis=1)
    image = np.clip(scene(192, 128).astype(int) + texture, 0, 255)
    images = [image.astype(np.uint8)]
    sizes, errors = [], []
    for quality in (10, 50, 90):
        (data,) = coded(name, images, quality=quality)
        decoder = open_decoder(CODECS[name].format, "bgr8", 192, 128)
        sizes.append(len(data))
        errors.append(np.abs(decoder.decode(data).astype(int) - images[0]).mean())
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)


def test_an_encoder_that_does_not_open_says_so_in_one_line_and_harms_nobody() -> None:
    missing = [name for name, spec in CODECS.items() if spec.hardware and not opens(name)]
    assert missing, "this machine has every codec"
    for name in missing:
        fault = fault_of(name)
        assert fault.startswith(name)
        assert "\n" not in fault
        assert len(fault) < 160
    with pytest.raises(CodecError, match=missing[0]):
        open_encoder(missing[0])


def test_an_encoder_that_holds_pictures_back_is_not_used(scene) -> None:
    spec = dataclasses.replace(CODECS["x264-ultrafast"], options={"preset": "veryslow"})
    encoder = PyavEncoder(spec)
    with pytest.raises(CodecError, match="expected one packet a picture, got 0"):
        encoder.encode(scene(128, 96), "bgr8", key=True, quality=50)


@pytest.mark.parametrize("name", EACH_FORMAT)
def test_a_picture_of_another_size_than_agreed_is_refused(scene, name) -> None:
    (data,) = coded(name, moved(scene, (1024, 768), count=1))
    decoder = open_decoder(CODECS[name].format, "bgr8", 128, 96)
    with pytest.raises(CodecError):
        decoder.decode(data)
    with pytest.raises(CodecError, match="met a fault before"):
        decoder.decode(data)


@pytest.mark.parametrize("name", ["x264-ultrafast", "av1-12"])
def test_a_packet_with_several_pictures_is_refused(scene, name) -> None:
    packets = coded(name, moved(scene))
    decoder = open_decoder(CODECS[name].format, "bgr8", 128, 96)
    with pytest.raises(CodecError, match="one picture"):
        decoder.decode(b"".join(packets))


def test_of_vp9_pictures_one_behind_the_other_only_the_first_is_looked_at(scene) -> None:
    packets = coded("vp9-8", moved(scene))
    one, several = (open_decoder("vp9", "bgr8", 128, 96) for _ in range(2))
    assert np.array_equal(one.decode(packets[0]), several.decode(b"".join(packets)))


def test_a_vp9_superframe_of_many_pictures_is_refused(scene) -> None:
    (key,) = coded("vp9-8", moved(scene, count=1))
    with pytest.raises(CodecError, match="expected one picture in a packet, got 8"):
        check_one_picture("vp9", key + b"\xc7")


def test_a_thousand_skipped_pictures_in_one_packet_are_never_decoded(scene) -> None:
    key, *rest = coded("x264-ultrafast", moved(scene))
    with pytest.raises(CodecError, match="expected one picture in a packet, got 301"):
        check_one_picture("h264", key + rest[0] * 300)


@pytest.mark.parametrize("name", EACH_FORMAT)
def test_damaged_packets_cost_an_error_and_nothing_else(scene, name) -> None:
    key, *rest = coded(name, moved(scene, count=3))
    rng = np.random.default_rng(7)
    refused = []
    for trial in range(60):
        decoder = open_decoder(CODECS[name].format, "bgr8", 128, 96)
        packets = [bytearray(key), bytearray(rest[0])]
        victim = packets[trial % 2]
        for at in rng.integers(0, len(victim), 1 + trial % 5):
            victim[at] = rng.integers(0, 256)
        if trial % 7 == 0:
            del victim[len(victim) // 2 :]
        try:
            for packet in packets:
                assert decoder.decode(bytes(packet)).shape == (96, 128, 3)
        except CodecError as error:
            refused.append(str(error))
    assert refused
    assert not any("\n" in text for text in refused)
    decoder = open_decoder(CODECS[name].format, "bgr8", 128, 96)
    assert [decoder.decode(data).shape for data in (key, *rest)] == [(96, 128, 3)] * 3


@pytest.mark.parametrize("video_format", FORMATS)
@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 64, b"\x00\x00\x01", bytes(2_000_000)])
def test_what_is_no_video_is_refused(video_format, data) -> None:
    with pytest.raises(CodecError):
        open_decoder(video_format, "bgr8", 128, 96).decode(data)


def test_a_stream_that_asks_for_many_references_is_refused(scene) -> None:
    spec = CODECS["x264-ultrafast"]
    greedy = {**spec.options, "x264-params": spec.options["x264-params"] + ":ref=5:dpb=5"}
    encoder = PyavEncoder(dataclasses.replace(spec, options={**greedy, "preset": "medium"}))
    data = encoder.encode(scene(128, 96), "bgr8", key=True, quality=50).data
    with pytest.raises(CodecError, match="expected at most 4 references, got 5"):
        open_decoder("h264", "bgr8", 128, 96).decode(data)


@pytest.mark.parametrize("name", [name for name in HERE if CODECS[name].family == "x264"])
def test_a_key_is_finer_than_the_encoder_would_make_it(name, scene) -> None:
    spec = CODECS[name]
    usual = {**spec.options, "x264-params": f"{spec.options['x264-params']}:ipratio=1.4"}
    texture = np.random.default_rng(3).integers(0, 60, (96, 128), np.uint8)
    image = texture + scene(128, 96, "mono8") // 2
    errors = []
    for made in (spec, dataclasses.replace(spec, options=usual)):
        coded = PyavEncoder(made).encode(image, "mono8", key=True, quality=60)
        decoded = open_decoder("h264", "mono8", 128, 96).decode(coded.data)
        errors.append(float(np.square(decoded.astype(float) - image).mean()))
    assert errors[0] < 0.8 * errors[1]
