"""Pictures smaller than their frame, where a link carries no more: seen at the frame's size."""

from __future__ import annotations

import dataclasses
import zlib

import numpy as np
import pytest

from mastra_ros.compression import Decoder, StreamEncoder
from mastra_ros.compression.chain import SCALED, VERSION_SCALED, unpack_video
from mastra_ros.compression.codecs import FORMATS, open_encoder
from mastra_ros.compression.rate import ladder
from mastra_ros.compression.video import VideoChain, VideoReceiver
from mastra_ros.config.compression import VIDEO_QUALITY
from mastra_ros.errors import CodecError
from mastra_ros.types import PacketKind

SIZE = (320, 240)
STEPS = ladder(VIDEO_QUALITY, scaled=True)
FIRST_SMALLER = next(n for n, step in enumerate(STEPS) if step.scale < 1)


@pytest.fixture
def chain() -> VideoChain:
    return VideoChain(open_encoder("x264-ultrafast"), tile_px=32, change_threshold=8.0)


@pytest.mark.parametrize("encoding", ["bgr8", "mono8"])
def test_a_smaller_picture_is_seen_at_the_size_of_its_frame(
    chain, moving, frame_of, encoding: str
) -> None:
    receiver = VideoReceiver()
    kinds = []
    for number, scale in enumerate((1.0, 0.5, 0.5, 0.5, 0.75, 1.0, 1.0), 1):
        image = moving(number, SIZE, encoding)
        packet = chain.encode(frame_of(image, number, encoding).frame, 80, scale=scale)
        seen = receiver.decode(packet)
        kinds.append(packet.stands_alone)
        assert (packet.width_px, packet.height_px) == SIZE
        assert seen.shape == image.shape
        assert not seen.flags.writeable
        assert np.abs(seen.astype(int) - image).mean() < 8
    assert kinds == [True, True, False, False, True, True, False]


def test_what_has_not_changed_is_a_repeat_of_the_smaller_picture(chain, moving, frame_of) -> None:
    receiver = VideoReceiver()
    image = moving(1, SIZE)
    packets = [chain.encode(frame_of(image, n).frame, 60, scale=0.5) for n in (1, 2)]
    assert [p.kind for p in packets] == [PacketKind.VIDEO, PacketKind.REPEAT]
    first, second = (receiver.decode(packet) for packet in packets)
    assert np.array_equal(first, second)


@pytest.mark.parametrize("size", [(0, 0), (8, 120), (640, 480), (65535, 65535), (320, 241)])
def test_a_size_that_is_larger_than_the_frame_or_none_is_refused_before_decoding(
    chain, moving, frame_of, size
) -> None:
    packet = chain.encode(frame_of(moving(1, SIZE), 1).frame, 60, scale=0.5)
    assert packet.payload[0] == VERSION_SCALED
    data = bytearray(packet.payload)
    data[6:10] = np.array(size, "<u2").tobytes()
    about = (*SIZE, 1, 1, 0)
    head = np.array(about[:2], "<u2").tobytes() + bytes((about[2],))
    head += np.array(about[3:], "<i8").tobytes() + bytes(data[:2])
    data[2:6] = np.uint32(zlib.crc32(bytes(data[6:]), zlib.crc32(head))).tobytes()

    def never(*_: object) -> None:
        raise AssertionError("a decoder was made")

    with pytest.raises(CodecError, match="expected a picture of 16 px to 320x240 px"):
        VideoReceiver(never).decode(dataclasses.replace(packet, payload=bytes(data)))


def test_a_size_in_a_packet_that_is_no_key_is_refused(chain, moving, frame_of) -> None:
    chain.encode(frame_of(moving(1, SIZE), 1).frame, 60)
    packet = chain.encode(frame_of(moving(2, SIZE), 2).frame, 60)
    forged = bytearray(packet.payload)
    forged[0] = VERSION_SCALED
    with pytest.raises(CodecError, match="damaged"):
        unpack_video(dataclasses.replace(packet, payload=bytes(forged)))


@pytest.mark.parametrize("takes", [True, False])
def test_only_a_gateway_that_takes_them_is_sent_smaller_pictures(
    config_of, moving, frame_of, takes: bool
) -> None:
    encoder = StreamEncoder(config_of(codec="x264"), run=lambda _: None)
    encoder.peer((*FORMATS, SCALED) if takes else FORMATS)
    decoder, versions = Decoder(), set()
    for number in range(1, 30):
        encoder.rate.steps = 0 if number < 5 else FIRST_SMALLER
        packet = encoder.encode(frame_of(moving(number, SIZE), number))
        assert decoder.decode(packet).image.shape == (240, 320, 3)
        versions.add(packet.payload[0])
    assert (VERSION_SCALED in versions) == takes
    assert ("side 75%" in encoder.in_force) == takes


def test_a_link_that_carries_fewer_frames_is_given_fewer(config_of, moving, frame_of) -> None:
    encoder = StreamEncoder(config_of(codec="x264"), run=lambda _: None)
    encoder.peer((*FORMATS, SCALED))
    encoder.encode(frame_of(moving(1, SIZE), 1))
    sent = {}
    for steps in (0, len(STEPS) - 2, len(STEPS) - 1):
        encoder.rate.steps = steps
        sent[steps] = sum(encoder.fit(0.0, 1.0) for _ in range(40))
    assert list(sent.values()) == [40, 20, 10]
    assert encoder.in_force.endswith("one frame in 4")
    encoder.peer(())  # tiles: what rests on acknowledged pictures is sent as before
    assert all(encoder.fit(0.0, 1.0) for _ in range(4))
