"""Chains of video packets: what each rests on, and what is refused before a codec sees it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mastra_ros.compression import Decoder, StreamEncoder
from mastra_ros.compression.chain import pack_video, unpack_video
from mastra_ros.compression.chooser import at_once
from mastra_ros.compression.codecs import (
    FORMATS,
)
from mastra_ros.compression.video import VideoReceiver
from mastra_ros.errors import CodecError, ReferenceMissing
from mastra_ros.types import Packet, PacketKind

VIDEO, REPEAT = PacketKind.VIDEO, PacketKind.REPEAT


class Refusing:
    """A decoder that no packet may reach."""

    bytes_kept = 0

    def decode(self, data: bytes) -> np.ndarray:
        raise AssertionError("a packet reached the codec that should have been refused before")


class Idle:
    """An encoder that has nothing to do."""

    format = "h264"

    def encode(self, *_: object, **__: object) -> None:
        raise AssertionError("a frame was encoded in which nothing has changed")


def test_frames_rest_on_the_one_sent_before_without_waiting_for_an_answer(
    encoder, moving, frame_of
) -> None:
    packets = [encoder.encode(frame_of(moving(n), n)) for n in range(1, 5)]
    assert [p.kind for p in packets] == [VIDEO] * 4
    assert [p.reference_ns for p in packets] == [0, 1, 2, 3]
    assert {p.codec for p in packets} == {"h264"}
    decoder = Decoder()
    for number, packet in enumerate(packets, 1):
        seen = decoder.decode(packet).image
        assert np.abs(seen.astype(int) - moving(number)).mean() < 8


@pytest.mark.parametrize("missing", [1, 2])
def test_what_rests_on_a_lost_packet_is_refused_before_the_codec_sees_it(
    encoder, moving, frame_of, missing
) -> None:
    packets = [encoder.encode(frame_of(moving(n), n)) for n in range(1, 5)]
    receiver = VideoReceiver()
    for packet in packets[:missing]:
        receiver.decode(packet)
    if receiver._held is not None:
        receiver._held.decoder = Refusing()
    for packet in packets[missing + 1 :]:
        with pytest.raises(ReferenceMissing):
            receiver.decode(packet)
    encoder.require_key()
    again = encoder.encode(frame_of(moving(9), 9))
    assert again.stands_alone
    assert receiver.decode(again).shape == moving(9).shape


def test_a_packet_sent_twice_or_out_of_order_is_refused(encoder, moving, frame_of) -> None:
    packets = [encoder.encode(frame_of(moving(n), n)) for n in range(1, 4)]
    decoder = Decoder()
    decoder.decode(packets[0])
    with pytest.raises(ReferenceMissing):
        decoder.decode(packets[2])
    decoder.decode(packets[1])
    with pytest.raises(ReferenceMissing):
        decoder.decode(packets[1])
    decoder.decode(packets[2])


def test_another_chain_under_the_same_stamps_is_not_taken_for_ours(
    config_of, moving, frame_of
) -> None:
    def chain(shift: int) -> list[Packet]:
        encoder = StreamEncoder(config_of(codec="x264"), run=at_once)
        encoder.peer(FORMATS)
        return [encoder.encode(frame_of(moving(n + shift), n)) for n in (1, 2)]

    ours, theirs = chain(0), chain(7)
    decoder = Decoder()
    decoder.decode(ours[0])
    with pytest.raises(ReferenceMissing, match="not the one decoded last"):
        decoder.decode(theirs[1])


def test_an_unchanged_frame_costs_ten_bytes_and_no_encoding(encoder, moving, frame_of) -> None:
    first = encoder.encode(frame_of(moving(1), 1))
    encoder._chain._encoder = Idle()
    repeats = [encoder.encode(frame_of(moving(1).copy(), n)) for n in (2, 3)]
    assert [(p.kind, p.reference_ns, len(p.payload)) for p in repeats] == [(REPEAT, 1, 10)] * 2
    decoder = Decoder()
    shown = decoder.decode(first).image
    # One that is lost changes nothing for the others.
    frame = decoder.decode(repeats[1])
    assert frame.key.stamp_ns == 3
    assert frame.image is shown


def test_a_slow_drift_is_no_repeat_for_ever(encoder, frame_of) -> None:
    kinds = [
        encoder.encode(frame_of(np.full((64, 96, 3), 50 + n, np.uint8), n)).kind
        for n in range(1, 31)
    ]
    assert kinds.count(VIDEO) >= 3
    assert kinds.count(REPEAT) >= 20


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"payload": b""}, "expected version"),
        ({"width_px": 98}, "checksum"),
        ({"encoding": "rgb8"}, "checksum"),
        ({"encoding": "yuyv"}, "expected one of"),
        ({"late": True}, "late"),
    ],
)
def test_a_packet_that_contradicts_its_payload_is_refused(
    encoder, moving, frame_of, change, error
) -> None:
    packet = dataclasses.replace(encoder.encode(frame_of(moving(1), 1)), **change)
    with pytest.raises(CodecError, match=error):
        Decoder().decode(packet)


def test_damage_anywhere_in_a_payload_is_found_before_the_codec_sees_it(
    encoder, moving, frame_of
) -> None:
    first, second = (encoder.encode(frame_of(moving(n), n)) for n in (1, 2))
    receiver = VideoReceiver()
    receiver.decode(first)
    receiver._held.decoder = Refusing()
    for at in range(len(second.payload)):
        data = bytearray(second.payload)
        data[at] ^= 0x10
        with pytest.raises(CodecError):
            receiver.decode(dataclasses.replace(second, payload=bytes(data)))


def test_a_gateway_keeps_one_decoder_a_stream_and_gives_it_up_for_memory(
    encoder, moving, frame_of
) -> None:
    decoder = Decoder()
    for number in range(1, 4):
        encoder.require_key()
        decoder.decode(encoder.encode(frame_of(moving(number), number)))
        kept = decoder.bytes_kept
        assert kept < 1_500_000
    assert decoder.forget_oldest()
    assert decoder.bytes_kept == 0
    assert not decoder.forget_oldest()
    with pytest.raises(ReferenceMissing):
        decoder.decode(encoder.encode(frame_of(moving(9), 9)))


def test_a_gateway_that_takes_no_video_refuses_it(encoder, moving, frame_of) -> None:
    with pytest.raises(CodecError, match="not taken here"):
        Decoder(video=False).decode(encoder.encode(frame_of(moving(1), 1)))


def repacked(packet: Packet, data: bytes) -> Packet:
    """The packet with another bitstream inside, its checksum made right."""
    payload, _ = unpack_video(packet)
    return dataclasses.replace(
        packet, payload=pack_video(dataclasses.replace(payload, data=data), packet)[0]
    )


@pytest.mark.parametrize("codec", ["x264", "vp9", "av1"])
def test_hostile_bitstreams_under_right_checksums_cost_an_error_each(
    config_of, moving, frame_of, codec
) -> None:
    encoder = StreamEncoder(config_of(codec=codec), run=at_once)
    encoder.peer(FORMATS)
    key, inter = (encoder.encode(frame_of(moving(n), n)) for n in (1, 2))
    rng = np.random.default_rng(11)
    refused = 0
    for trial in range(40):
        victim = (key, inter)[trial % 2]
        data = bytearray(unpack_video(victim)[0].data)
        for at in rng.integers(0, len(data), 1 + trial % 4):
            data[at] = rng.integers(0, 256)
        decoder = Decoder()
        try:
            if victim is inter:
                decoder.decode(key)
            shown = decoder.decode(repacked(victim, bytes(data)))
        except CodecError:
            refused += 1
            with pytest.raises(ReferenceMissing):  # nothing is built on what failed
                decoder.decode(inter if victim is key else repacked(inter, b"\x00"))
        else:
            assert shown.image.shape == moving(1).shape
    assert refused


@pytest.mark.parametrize("codec", ["x264", "vp9", "av1"])
def test_a_huge_picture_in_a_packet_that_says_a_small_one_is_never_allocated(
    config_of, moving, frame_of, scene, codec
) -> None:
    encoder = StreamEncoder(config_of(codec=codec), run=at_once)
    encoder.peer(FORMATS)
    small = encoder.encode(frame_of(moving(1), 1))
    huge = encoder.encode(frame_of(scene(2048, 2048), 2))
    decoder = Decoder()
    with pytest.raises(CodecError):
        decoder.decode(repacked(small, unpack_video(huge)[0].data[:20_000]))
    assert decoder.bytes_kept == 0
    with pytest.raises(CodecError, match="expected at most"):
        Decoder(pixels_max=1_000_000).decode(huge)


def test_frames_that_go_up_seldom_rest_on_the_last_one_sent(encoder, moving, frame_of) -> None:
    first = encoder.encode(frame_of(moving(1), 1))
    second = encoder.encode(frame_of(moving(2), 60_000_000_000), hard=True)
    assert (second.reference_ns, second.hard) == (first.key.stamp_ns, True)
    decoder = Decoder()
    decoder.decode(first)
    decoder.decode(second)


@pytest.mark.parametrize("top", [0, 40, 95, 96, 130, 203])
def test_a_change_is_found_wherever_it_is_and_wherever_the_last_one_was(
    encoder, frame_of, top
) -> None:
    still = np.full((211, 130, 3), 90, np.uint8)
    spotted = [still.copy() for _ in range(2)]
    spotted[0][top : top + 8, 60:68] = 200
    spotted[1][203 - top : 211 - top, 20:28] = 30
    kinds = []
    for number, image in enumerate([still, still, spotted[0], spotted[0], spotted[1], still], 1):
        kinds.append(encoder.encode(frame_of(image, number)).kind)
    video, repeat = PacketKind.VIDEO, PacketKind.REPEAT
    assert kinds == [video, repeat, video, repeat, video, video]
