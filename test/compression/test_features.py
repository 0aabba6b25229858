"""Features survive the way to the gateway, and damage to them is found."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mastra_ros.compression import Decoder, FeatureEncoder, decode_features
from mastra_ros.compression.features import MASKED, PLAIN, TRY_EVERY, ZSTD
from mastra_ros.errors import CodecError
from mastra_ros.privacy import hiding_nothing
from mastra_ros.types import Features, FrameKey, Packet, PacketKind

GATE = hiding_nothing("pictures made for this test")
KEY = FrameKey("main", 1_700_000_000_123_456_789)


def features_of(tensor: np.ndarray, **changes: Any) -> Features:
    values = {"scale": 0.05, "zero_point": -128, "width_px": 640, "height_px": 480, **changes}
    return Features(KEY, values.pop("cut", "/at8/Relu"), tensor, **values)


def rectified(shape: tuple[int, ...] = (16, 20, 20), zeros: float = 0.7) -> np.ndarray:
    """A tensor such as a ReLU leaves behind: many zeros, in whole places or whole channels."""
    rng = np.random.default_rng(5)
    values = np.clip(rng.exponential(25.0, shape), 0, 255).astype(np.int16) - 128
    values[np.broadcast_to(rng.random(shape[1:]) < zeros, shape)] = -128
    return values.astype(np.int8)


def same(found: Features, sent: Features) -> bool:
    plain = [f.name for f in dataclasses.fields(Features) if f.name != "tensor"]
    return np.array_equal(found.tensor, sent.tensor) and all(
        getattr(found, name) == getattr(sent, name) for name in plain
    )


def resealed(packet: Packet, at: int, new: bytes) -> Packet:
    """The packet with some bytes replaced and the check made right again."""
    data = bytearray(packet.payload)
    data[at : at + len(new)] = new
    check = zlib.crc32(bytes(data[8:]), zlib.crc32(bytes(data[:4])))
    data[4:8] = struct.pack("<I", check)
    return dataclasses.replace(packet, payload=bytes(data))


SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=12)


@given(
    tensor=hnp.arrays(np.int8, SHAPES),
    scale=st.floats(1e-6, 1e6),
    zero_point=st.integers(-128, 127),
    names=st.tuples(st.text(min_size=1, max_size=60), st.text(max_size=60), st.text(max_size=16)),
)
def test_every_tensor_comes_back_as_it_was(
    tensor: np.ndarray, scale: float, zero_point: int, names: tuple[str, str, str]
) -> None:
    cut, model, pair = names
    sent = features_of(tensor, cut=cut, scale=scale, zero_point=zero_point, model=model, pair=pair)
    assert same(decode_features(FeatureEncoder().encode(GATE.clear_features(sent))), sent)


@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.95])
def test_sparse_tensors_come_back_and_are_much_smaller(zeros: float) -> None:
    sent = features_of(rectified(zeros=zeros))
    packet = FeatureEncoder().encode(GATE.clear_features(sent))
    assert same(decode_features(packet), sent)
    assert len(packet.payload) < sent.tensor.size * (1.2 - zeros)


def test_what_cannot_be_compressed_is_sent_plain() -> None:
    noise = np.random.default_rng(3).integers(-128, 128, (8, 9, 10)).astype(np.int8)
    packet = FeatureEncoder().encode(GATE.clear_features(features_of(noise)))
    assert packet.payload[3] == PLAIN
    assert len(packet.payload) < noise.size + 80


def test_channels_that_are_laid_out_anyhow_are_sent_as_they_are_seen() -> None:
    sent = features_of(rectified().transpose(2, 0, 1)[:, ::2])
    assert same(decode_features(FeatureEncoder().encode(GATE.clear_features(sent))), sent)


def test_the_best_way_of_coding_is_found_again_when_the_tensors_change() -> None:
    encoder = FeatureEncoder()
    rows = np.repeat(np.arange(64, dtype=np.int8), 400).reshape(64, 20, 20)
    assert encoder.encode(GATE.clear_features(features_of(rows))).payload[3] == ZSTD
    rows[:, ::2] = rectified((64, 10, 20), zeros=0.9)
    changed = encoder.encode(GATE.clear_features(features_of(rows)))
    assert len(changed.payload) == len(
        FeatureEncoder().encode(GATE.clear_features(features_of(rows))).payload
    )


def test_the_best_way_of_coding_is_looked_for_now_and_then_though_nothing_seems_to_change() -> None:
    encoder = FeatureEncoder()
    sent = features_of(rectified())
    sizes = {len(encoder.encode(GATE.clear_features(sent)).payload) for _ in range(2 * TRY_EVERY)}
    assert len(sizes) == 1
    assert encoder.encode(GATE.clear_features(sent)).payload[3] == MASKED


def test_the_packet_says_what_it_carries() -> None:
    sent = features_of(rectified(), model="board_defects")
    packet = FeatureEncoder().encode(
        GATE.clear_features(sent), encoding="mono8", hard=True, late=True
    )
    assert (packet.key, packet.width_px, packet.height_px) == (KEY, 640, 480)
    assert (packet.encoding, packet.hard, packet.late) == ("mono8", True, True)
    assert packet.meta == {
        "model": "board_defects",
        "cut": "/at8/Relu",
        "shape": [16, 20, 20],
        "scale": 0.05,
        "zero_point": -128,
    }


def test_a_picture_is_no_features_and_features_are_no_picture() -> None:
    packet = FeatureEncoder().encode(GATE.clear_features(features_of(rectified())))
    with pytest.raises(CodecError, match="expected a picture"):
        Decoder().decode(packet)
    with pytest.raises(CodecError, match="expected features, got key"):
        decode_features(Packet(KEY, PacketKind.KEY, b"", 4, 4, "bgr8"))


@pytest.mark.parametrize(
    ("tensor", "changes", "complaint"),
    [
        (np.zeros((1, 1, 1, 1, 2), np.int8), {}, "1 to 4 sides"),
        (np.zeros(4, np.int8), {"cut": ""}, "names of at most 255 bytes"),
        (np.zeros(4, np.int8), {"model": "ü" * 128}, "names of at most 255 bytes"),
    ],
)
def test_what_the_layout_has_no_place_for_is_refused(
    tensor: np.ndarray, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(CodecError, match=complaint):
        FeatureEncoder().encode(GATE.clear_features(features_of(tensor, **changes)))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tensor": np.zeros(4, np.float32)}, "expected int8"),
        ({"tensor": np.zeros((0, 4), np.int8)}, "expected int8 values"),
        ({"scale": math.inf}, "scale above 0"),
        ({"scale": 0.0}, "scale above 0"),
        ({"zero_point": 128}, "zero point"),
        ({"width_px": 0}, "out of range"),
    ],
)
def test_features_check_themselves_at_birth(changes: dict[str, Any], complaint: str) -> None:
    values = {"tensor": np.zeros(4, np.int8), **changes}
    with pytest.raises(ValueError, match=complaint):
        features_of(values.pop("tensor"), **values)


@pytest.fixture(scope="module")
def packet() -> Packet:
    return FeatureEncoder().encode(
        GATE.clear_features(features_of(rectified(), model="m", pair="0123456789abcdef"))
    )


@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found(packet: Packet, at: int, bit: int) -> None:
    data = bytearray(packet.payload)
    data[at % len(data)] ^= 1 << bit
    with pytest.raises(CodecError):
        decode_features(dataclasses.replace(packet, payload=bytes(data)))


@given(cut=st.integers(0, 10**6))
def test_a_payload_that_is_cut_short_is_found(packet: Packet, cut: int) -> None:
    short = packet.payload[: cut % len(packet.payload)]
    with pytest.raises(CodecError):
        decode_features(dataclasses.replace(packet, payload=short))


@given(
    at=st.integers(8, 10**6),
    new=st.binary(min_size=1, max_size=8),
)
def test_damage_under_a_right_check_raises_a_codec_error_or_nothing(
    packet: Packet, at: int, new: bytes
) -> None:
    forged = resealed(packet, 8 + at % (len(packet.payload) - 8), new)
    with contextlib.suppress(CodecError):
        decode_features(forged)


@given(data=st.binary(max_size=300))
def test_random_bytes_raise_a_codec_error(data: bytes) -> None:
    with pytest.raises(CodecError):
        decode_features(Packet(KEY, PacketKind.FEATURES, data, 640, 480, "bgr8"))


@pytest.mark.parametrize(
    ("at", "new", "complaint"),
    [
        (0, b"MC", "expected b'MF'"),
        (2, b"\x02", "version 1"),
        (3, b"\x03", "unknown method"),
        (8, b"\x02", "order 2"),
        (9, b"\x00", "rank 0"),
        (9, b"\x05", "rank 5"),
        (10, b"\x01\x00", "the packet says"),
        (15, b"\x00", "too few"),
        (16, b"\x00", "the packet says"),
        (24, struct.pack("<d", math.nan), "scale above 0"),
        (24, struct.pack("<d", -1.0), "scale above 0"),
        (34, b"\x01", "unknown method"),
        (36, b"\xff\xff\xff\xff", "too few"),
        (40, struct.pack("<3I", 2**32 - 1, 2**32 - 1, 2**32 - 1), "expected 1 to"),
        (40, struct.pack("<I", 0), "expected 1 to"),
        (40, struct.pack("<I", 17), "states"),
        (52, b"\xff", "utf-8"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(
    packet: Packet, at: int, new: bytes, complaint: str
) -> None:
    with pytest.raises(CodecError, match=complaint):
        decode_features(resealed(packet, at, new))


def test_more_values_than_are_wanted_are_refused_before_anything_is_unpacked() -> None:
    packet = FeatureEncoder().encode(
        GATE.clear_features(features_of(np.full((64, 80, 80), -128, np.int8)))
    )
    assert len(packet.payload) < 200
    with pytest.raises(CodecError, match="expected 1 to 1000 values"):
        decode_features(packet, 1000)


def test_a_frame_that_would_unpack_to_more_is_refused() -> None:
    sent = features_of(np.zeros((1, 4, 4), np.int8))
    packet = FeatureEncoder().encode(GATE.clear_features(sent))
    start = 40 + 12 + len(sent.cut)
    bomb = zstandard.ZstdCompressor().compress(bytes(10**7))
    data = packet.payload[:start] + bomb
    data = data[:3] + bytes([ZSTD]) + data[4:36] + bytes(4) + data[40:]
    forged = resealed(dataclasses.replace(packet, payload=data), 8, data[8:9])
    with pytest.raises(CodecError, match="it states 10000000"):
        decode_features(forged)
