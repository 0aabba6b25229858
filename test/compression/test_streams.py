"""What a stream is encoded with: which codec, where none will do, and what is asked of it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from mastra_ros.compression import Decoder, StreamEncoder, streams
from mastra_ros.compression.chooser import at_once
from mastra_ros.compression.codecs import (
    CODECS,
    FORMATS,
    fault_of,
    readable_formats,
    writable_formats,
)
from mastra_ros.compression.codecs.encoding import PyavEncoder
from mastra_ros.compression.streams import FINE_MORE
from mastra_ros.compression.trials import BETTER, BETTER_KIND
from mastra_ros.errors import CodecError
from mastra_ros.types import Packet, PacketKind

KEY, VIDEO = PacketKind.KEY, PacketKind.VIDEO


def test_another_quality_size_or_encoding_is_a_key_frame(config_of, moving, frame_of) -> None:
    encoder, decoder = StreamEncoder(config_of(codec="av1"), run=at_once), Decoder()
    encoder.peer(FORMATS)
    stamp_ns = 0

    def sent(image, encoding="bgr8") -> Packet:
        nonlocal stamp_ns
        stamp_ns += 1
        packet = encoder.encode(frame_of(image, stamp_ns, encoding))
        frame = decoder.decode(packet)
        assert (frame.image.shape, frame.encoding) == (image.shape, encoding)
        return packet

    assert sent(moving(1)).stands_alone
    assert not sent(moving(2)).stands_alone
    encoder.configure(config_of(codec="av1", quality=80))
    assert sent(moving(2)).stands_alone
    assert sent(moving(3), "rgb8").stands_alone
    assert sent(moving(3, (97, 65))).stands_alone
    assert not sent(moving(4, (97, 65))).stands_alone
    assert sent(moving(4, (97, 65), "mono8"), "mono8").stands_alone


def test_nobody_is_sent_video_who_has_not_announced_it(config_of, moving, frame_of) -> None:
    encoder = StreamEncoder(config_of(), run=at_once)
    assert encoder.encode(frame_of(moving(1), 1)).kind is KEY
    encoder.peer(["vp9"])
    assert encoder.encode(frame_of(moving(2), 2)).codec == "vp9"
    encoder.peer(["what comes in ten years"])
    assert encoder.encode(frame_of(moving(3), 3)).kind is KEY
    encoder.peer([])
    assert encoder.encode(frame_of(moving(4), 4)).codec == ""


def test_royalty_free_codecs_can_be_demanded(config_of, moving, frame_of, caplog) -> None:
    encoder = StreamEncoder(config_of(royalty_free=True), run=at_once)
    encoder.peer(FORMATS)
    codecs = {encoder.encode(frame_of(moving(n), n)).codec for n in range(1, 30)}
    assert codecs <= {"vp9", "av1"}
    encoder.peer(["h264"])
    assert encoder.encode(frame_of(moving(1), 99)).kind is KEY
    assert "no video codec is to be had here" in caplog.text


MISSING = [name for name, spec in CODECS.items() if spec.hardware and fault_of(name)]


@pytest.mark.parametrize("name", MISSING)
def test_a_codec_that_is_missing_is_one_line_and_the_next_best_is_used(
    config_of, moving, frame_of, caplog, name: str
) -> None:
    encoder = StreamEncoder(config_of(codec=name), run=at_once)
    encoder.peer(FORMATS)
    packets = [encoder.encode(frame_of(moving(n), n)) for n in (1, 2)]
    assert [p.kind for p in packets] == [VIDEO, VIDEO]
    assert sum(f"{name}: " in text for text in caplog.messages) == 1
    assert not any("\n" in text or len(text) > 200 for text in caplog.messages)
    assert encoder.in_force.startswith("x264-")
    assert sum("auto takes its place" in text for text in caplog.messages) == 1


def test_a_codec_that_fails_while_running_costs_one_line_and_no_frame(
    encoder, moving, frame_of, caplog
) -> None:
    decoder = Decoder()
    decoder.decode(encoder.encode(frame_of(moving(1), 1)))
    broken = encoder._name

    class Broken:
        format = "h264"

        def encode(self, *_: object, **__: object) -> None:
            raise CodecError(f"{broken}: the device is gone")

    encoder._chain._encoder = Broken()
    packet = encoder.encode(frame_of(moving(2), 2))
    assert packet.stands_alone
    assert encoder._name != broken
    decoder.decode(packet)
    assert sum("the device is gone" in text for text in caplog.messages) == 1


def test_a_picture_too_small_for_video_is_a_still_and_the_next_size_is_video_again(
    encoder, moving, frame_of
) -> None:
    assert encoder.encode(frame_of(moving(1, (5, 3)), 1)).kind is KEY
    assert encoder.encode(frame_of(moving(1), 2)).kind is VIDEO


def test_late_frames_and_frames_at_zero_are_stills_beside_the_chain(
    encoder, moving, frame_of
) -> None:
    decoder = Decoder()
    for number, late in ((1, False), (2, True), (0, False), (3, False)):
        packet = encoder.encode(frame_of(moving(number), number), late=late)
        assert packet.kind is (KEY if late or not number else VIDEO)
        decoder.decode(packet)
    assert packet.reference_ns == 1


def test_auto_changes_to_a_codec_that_costs_less_and_says_so(config_of, frame_of, caplog) -> None:
    caplog.set_level("INFO")
    encoder = StreamEncoder(config_of(encode_budget_ms=1000.0), run=at_once)
    encoder.peer(FORMATS)
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 255, (96, 320), np.uint8).repeat(2, axis=0)[..., None].repeat(3, 2)
    decoder, before = Decoder(), ""
    for number in range(1, 16):
        image = np.ascontiguousarray(np.roll(picture, 4 * number, axis=1))
        packet = encoder.encode(frame_of(image, number))
        decoder.decode(packet)
        if before and encoder._name != before:
            assert packet.stands_alone
        before = encoder._name
    trials = {trial.codec: trial for trial in encoder._chooser.trials}
    assert {"x264-veryfast", "vp9-8"} <= trials.keys()
    present = trials[encoder._chooser.present]
    for trial in trials.values():
        same = CODECS[trial.codec].format == CODECS[present.codec].format
        least = BETTER if same else BETTER_KIND
        assert trial.bytes_at(40.0) >= least * present.bytes_at(40.0)


def test_one_key_frame_answers_all_that_asked_before_it(encoder, moving, frame_of) -> None:
    def link(asked: int, *, needed: bool = True, session: int = 1) -> None:
        encoder.follow(
            session=session,
            codecs=FORMATS,
            acknowledged=(0, ""),
            key_frame_needed=needed,
            key_frames_asked=asked,
        )

    def is_key(number: int) -> bool:
        return encoder.encode(frame_of(moving(number), number)).stands_alone

    link(0, needed=False)
    assert is_key(1)
    link(1)
    assert is_key(2)
    link(1)  # told again while the key frame is on its way
    assert not is_key(3)
    link(2)
    assert is_key(4)
    link(2, needed=False)
    assert not is_key(5)
    link(2, needed=False, session=2)
    assert is_key(6)


def test_a_trial_runs_beside_the_stream_and_ends_with_it(config_of, moving, frame_of) -> None:
    encoder = StreamEncoder(config_of())
    encoder.peer(FORMATS)
    for number in range(1, 14):
        encoder.encode(frame_of(moving(number, (320, 240)), number))
    thread = encoder._chooser._thread
    assert thread is not None
    encoder.close()
    assert not thread.is_alive()


def test_a_device_without_pyav_sends_stills(config_of, moving, frame_of, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    for cached in (fault_of, readable_formats, writable_formats):
        cached.cache_clear()
    try:
        encoder = StreamEncoder(config_of(), run=at_once)
        encoder.peer(FORMATS)
        assert encoder.encode(frame_of(moving(1), 1)).kind is KEY
        assert readable_formats() == writable_formats() == ()
        assert "PyAV" in fault_of("vp9-8") or "ModuleNotFoundError" in fault_of("vp9-8")
    finally:
        for cached in (fault_of, readable_formats, writable_formats):
            cached.cache_clear()


def test_the_encoder_tells_what_it_expects_the_next_frame_to_take(
    encoder, moving, frame_of
) -> None:
    assert np.isnan(encoder.next_bytes)  # nothing was sent yet
    sizes = [
        len(encoder.encode(frame_of(image, number)).payload)
        for number, image in enumerate((moving(n, (128, 96)) for n in range(12)), 1)
    ]
    later = encoder.next_bytes
    assert min(sizes[1:]) <= later <= max(sizes[1:])
    encoder.require_key()  # the next will stand alone
    assert encoder.next_bytes == pytest.approx(sizes[0])


def test_nothing_is_expected_of_tiles(config_of, moving, frame_of) -> None:
    stills = StreamEncoder(config_of(codec="jpeg"), run=at_once)
    stills.peer(FORMATS)
    stills.encode(frame_of(moving(1, (128, 96)), 1))
    assert np.isnan(stills.next_bytes)


def test_a_slow_faint_change_is_sent_as_video_though_no_tile_would_be_sent(
    config_of, frame_of
) -> None:
    still = np.full((96, 128, 3), 90, np.uint8)
    faint = still.copy()
    faint[40:56, 40:56] += 6  # gray levels; tiles change by 8
    for codec, expected in (("x264", VIDEO), ("jpeg", PacketKind.DELTA)):
        encoder = StreamEncoder(config_of(codec=codec, change_threshold=8.0), run=at_once)
        encoder.peer(FORMATS)
        encoder.encode(frame_of(still, 1))
        encoder.acknowledge(1)
        noisy = encoder.encode(frame_of(still + 2, 2))
        packet = encoder.encode(frame_of(faint, 3))
        assert packet.kind is expected
        if codec == "x264":
            assert noisy.kind is PacketKind.REPEAT
        else:
            assert len(packet.payload) <= len(noisy.payload)


@pytest.mark.parametrize("codec", ["x264", "vp9"])
def test_one_frame_in_some_is_finer_where_the_link_has_room(
    codec, config_of, frame_of, monkeypatch
) -> None:
    every = next(spec.fine_every for spec in CODECS.values() if spec.family == codec)
    asked: list[int] = []

    class Asked(PyavEncoder):
        def encode(self, *args, quality: int, **named):
            asked.append(quality)
            return super().encode(*args, quality=quality, **named)

    monkeypatch.setattr(streams, "open_encoder", lambda name: Asked(CODECS[name]))
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (12, 16, 3), np.uint8).repeat(16, 0).repeat(16, 1)

    def qualities(steps: int) -> list[int]:
        asked.clear()
        encoder = StreamEncoder(config_of(codec=codec, quality=60), run=lambda _: None)
        encoder.peer(FORMATS)
        encoder.rate.steps = steps
        for number in range(1, 2 * every + 2):
            encoder.encode(frame_of(np.roll(coarse, 3 * number, axis=1), number))
        return list(asked)

    made = qualities(0)
    assert made[every] == made[2 * every] == 60 + FINE_MORE
    assert set(np.delete(made, [every, 2 * every])) == {60}
    assert len(set(qualities(1))) == 1  # a link that has none


def test_a_scene_that_stands_still_is_not_made_finer(config_of, moving, frame_of) -> None:
    encoder = StreamEncoder(config_of(codec="x264"), run=lambda _: None)
    encoder.peer(FORMATS)
    still = moving(0, (128, 96))
    kinds = [
        encoder.encode(frame_of(still, n)).kind
        for n in range(1, 3 * CODECS["x264-veryfast"].fine_every)
    ]
    assert set(kinds[1:]) == {PacketKind.REPEAT}
