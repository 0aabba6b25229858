"""Encoder and decoder together: what arrives, what is refused, and what it costs."""

from __future__ import annotations

import dataclasses
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mastra_ros.camera import Line, LineOptions
from mastra_ros.compression import Decoder, Encoder
from mastra_ros.compression.payload import check_of
from mastra_ros.errors import CodecError, ReferenceMissing
from mastra_ros.privacy import ClearedFrame, hiding_nothing
from mastra_ros.types import Frame, FrameKey, Packet, PacketKind

KEY, DELTA = PacketKind.KEY, PacketKind.DELTA
GATE = hiding_nothing("pictures made for this test")
ENCODINGS = ("mono8", "bgr8", "rgb8")


def worst_mean(a, b) -> float:
    """The largest mean absolute difference over any aligned 4x4 px, of any channel."""
    difference = np.abs(a.astype(np.float64) - b)
    height, width = (side // 4 * 4 for side in a.shape[:2])
    cells = difference[:height, :width].reshape(height // 4, 4, width // 4, 4, -1)
    return float(cells.mean(axis=(1, 3)).max())


def with_check(packet: Packet, data: bytes) -> Packet:
    """The packet with this payload, its checksum made right."""
    data = data[:4] + struct.pack("<I", check_of(data)) + data[8:]
    return dataclasses.replace(packet, payload=data)


@pytest.fixture
def pair(config_of):
    """An encoder and the decoder that hears it."""
    return Encoder(config_of()), Decoder()


@pytest.mark.parametrize("size", [(64, 64), (100, 75), (33, 31), (5, 3)])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("codec", ["jpeg", "webp", "png"])
def test_key_and_delta_arrive_in_every_codec_and_encoding(
    scene, frame_of, config_of, codec, encoding, size
) -> None:
    encoder, decoder = Encoder(config_of(codec=codec, quality=90, key_share=1.0)), Decoder()
    image = scene(*size, encoding)
    first = encoder.encode(frame_of(image, 10, encoding))
    assert first.kind is KEY
    decoder.decode(first)
    encoder.acknowledge(10)
    changed = image.copy()
    changed[: size[1] // 2 + 1, : size[0] // 2 + 1] = 255 - image[0, 0]
    second = encoder.encode(frame_of(changed, 20, encoding))
    assert (second.kind, second.reference_ns) == (DELTA, 10)
    frame = decoder.decode(second)
    assert (frame.key, frame.encoding, frame.image.shape) == (second.key, encoding, image.shape)
    difference = np.abs(frame.image.astype(int) - changed)
    # A few pixels with colours shared by four keep little of them.
    lossy = 6 if min(size) > 16 else 16
    # Without loss only what is below the threshold may differ, at the edge of the change.
    assert difference.mean() <= (0.1 if codec == "png" else lossy)


def test_a_picture_without_change_costs_less_than_a_hundred_bytes(pair, scene, frame_of) -> None:
    encoder, decoder = pair
    image = scene(640, 480)
    decoder.decode(encoder.encode(frame_of(image, 1)))
    encoder.acknowledge(1)
    packet = encoder.encode(frame_of(image.copy(), 2))
    assert packet.kind is DELTA
    assert len(packet.payload) < 100
    assert np.array_equal(decoder.decode(packet).image, decoder.decode(packet).image)


def test_nothing_refers_to_a_picture_that_is_not_acknowledged(pair, scene, frame_of) -> None:
    encoder, _ = pair
    image = scene(64, 64)
    assert [encoder.encode(frame_of(image, stamp)).kind for stamp in (1, 2, 3)] == [KEY] * 3
    encoder.acknowledge(2)
    assert encoder.encode(frame_of(image, 4)).reference_ns == 2
    encoder.acknowledge(1)  # late news of an older picture
    encoder.acknowledge(99)  # never sent
    assert encoder.encode(frame_of(image, 5)).reference_ns == 2
    encoder.acknowledge(5)
    assert encoder.encode(frame_of(image, 6)).reference_ns == 5


def test_a_drift_too_slow_to_see_does_not_add_up(pair, scene, frame_of) -> None:
    """One gray level a frame, every frame acknowledged, and still never far from the truth."""
    encoder, decoder = pair
    image = scene(64, 64, "mono8")
    for step in range(40):
        drifted = image + np.uint8(step)
        packet = encoder.encode(frame_of(drifted, step + 1))
        encoder.acknowledge(step + 1)
        assert worst_mean(decoder.decode(packet).image, drifted) <= 10 + 8


def test_key_frames_come_when_due(config_of, scene, frame_of) -> None:
    encoder = Encoder(config_of(key_interval_frames=2))
    image = scene(64, 64)

    def kind(stamp_ns: int, picture=image, encoding="bgr8") -> PacketKind:
        packet = encoder.encode(frame_of(picture, stamp_ns, encoding))
        encoder.acknowledge(stamp_ns)
        return packet.kind

    assert [kind(stamp) for stamp in range(1, 8)] == [KEY, DELTA, DELTA, KEY, DELTA, DELTA, KEY]
    assert kind(8, scene(96, 64)) is KEY  # another size
    assert kind(9, scene(96, 64), "rgb8") is KEY  # another encoding
    assert kind(10, scene(96, 64), "rgb8") is DELTA
    assert kind(11, 255 - scene(96, 64), "rgb8") is KEY  # nearly all has changed
    assert kind(12, 255 - scene(96, 64), "rgb8") is DELTA
    encoder.require_key()
    assert kind(13, 255 - scene(96, 64), "rgb8") is KEY
    encoder.forget()
    encoder.acknowledge(13)  # of the session before
    assert kind(14, 255 - scene(96, 64), "rgb8") is KEY


def test_an_interval_of_zero_makes_key_frames_only(config_of, scene, frame_of) -> None:
    encoder = Encoder(config_of(key_interval_frames=0))
    for stamp in (1, 2, 3):
        assert encoder.encode(frame_of(scene(64, 64), stamp)).kind is KEY
        encoder.acknowledge(stamp)


def test_a_key_frame_on_its_way_stays_good_when_another_is_asked_for(pair, scene, frame_of) -> None:
    """The bridge repeats its wish until a key frame is acknowledged."""
    encoder, _ = pair
    image = scene(64, 64)
    encoder.require_key()
    encoder.encode(frame_of(image, 1))
    encoder.require_key()
    encoder.acknowledge(1)
    assert encoder.encode(frame_of(image, 2)).kind is KEY
    assert encoder.encode(frame_of(image, 3)).reference_ns == 1


def test_a_late_frame_stands_outside_the_sequence(pair, scene, frame_of) -> None:
    encoder, decoder = pair
    image = scene(64, 64)
    late = encoder.encode(frame_of(image, 1), hard=True, late=True)
    assert (late.kind, late.hard, late.late) == (KEY, True, True)
    decoder.decode(late)
    assert decoder.bytes_kept == 0
    encoder.acknowledge(1)
    assert encoder.encode(frame_of(image, 2)).kind is KEY


def test_pictures_kept_are_bounded_and_those_in_use_stay(scene, frame_of, config_of) -> None:
    encoder, decoder = Encoder(config_of()), Decoder(references_kept=3)
    image = scene(64, 64)
    decoder.decode(encoder.encode(frame_of(image, 1)))
    encoder.acknowledge(1)
    for stamp in range(2, 12):  # acknowledgements fail to come: all refer to the first
        spotted = image.copy()
        spotted[stamp, :32] = 255
        packet = encoder.encode(frame_of(spotted, stamp))
        assert packet.reference_ns == 1
        decoder.decode(packet)
    assert decoder.bytes_kept == 3 * image.nbytes


def test_a_missing_reference_is_named(pair, scene, frame_of) -> None:
    encoder, _ = pair
    encoder.encode(frame_of(scene(64, 64), 1))
    encoder.acknowledge(1)
    with pytest.raises(ReferenceMissing, match="no picture of 1 ns"):
        Decoder().decode(encoder.encode(frame_of(scene(64, 64), 2)))


def test_another_picture_under_the_same_stamp_is_no_reference(scene, frame_of, config_of) -> None:
    """Two encoders on one stream, or one started again with a clock that went back."""
    encoder, other, decoder = Encoder(config_of()), Encoder(config_of()), Decoder()
    encoder.encode(frame_of(scene(64, 64, seed=1), 1))
    encoder.acknowledge(1)
    decoder.decode(other.encode(frame_of(scene(64, 64, seed=2), 1)))
    with pytest.raises(ReferenceMissing, match="another than the encoder's"):
        decoder.decode(encoder.encode(frame_of(scene(64, 64, seed=1), 2)))


def test_decoded_pictures_cannot_be_changed_by_who_receives_them(pair, scene, frame_of) -> None:
    encoder, decoder = pair
    frame = decoder.decode(encoder.encode(frame_of(scene(64, 64), 1)))
    with pytest.raises(ValueError, match="read-only"):
        frame.image[0, 0] = 0


def test_packets_that_contradict_their_payload_are_refused(pair, scene, frame_of) -> None:
    encoder, decoder = pair
    packet = encoder.encode(frame_of(scene(64, 64), 5))
    replace = dataclasses.replace
    for wrong in (
        replace(packet, width_px=65),
        replace(packet, encoding="rgb8"),
        replace(packet, key=packet.key._replace(stamp_ns=6)),
        replace(packet, kind=DELTA, reference_ns=3),
    ):
        with pytest.raises(CodecError, match="its packet says"):
            decoder.decode(wrong)
    with pytest.raises(CodecError, match="got features"):
        decoder.decode(replace(packet, kind=PacketKind.FEATURES))


def test_a_picture_above_the_limit_is_refused_before_anything_is_allocated(scene, frame_of) -> None:
    with pytest.raises(CodecError, match="at most 4096 px, got 4160"):
        Decoder(pixels_max=4096).decode(
            Packet(frame_of(scene(8, 8), 1).key, KEY, b"", 65, 64, "bgr8")
        )


def test_a_frame_of_another_stream_is_refused(pair, scene, frame_of) -> None:
    with pytest.raises(CodecError, match="expected stream 'main', got 'side'"):
        pair[0].encode(frame_of(scene(8, 8), 1, stream="side"))


@settings(max_examples=60)
@given(data=st.data())
def test_over_a_lossy_link_a_picture_arrives_right_or_is_reported_missing(
    data: st.DataObject, scene, frame_of, config_of
) -> None:
    """Packets and acknowledgements are lost, wait, overtake each other; both ends restart."""
    threshold, width, height = 10.0, 80, 56
    encoding = data.draw(st.sampled_from(ENCODINGS))
    codec = data.draw(st.sampled_from(["png", "jpeg"]))
    # Halving twice rounds by a gray level; jpeg blurs edges, and colours even more.
    codec_loss = 1 if codec == "png" else 30 if encoding == "mono8" else 60
    encoder = Encoder(
        config_of(key_interval_frames=8, tile_px=16, change_threshold=threshold, codec=codec)
    )
    decoder = Decoder(references_kept=data.draw(st.integers(1, 4)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    image = scene(width, height, encoding)
    on_the_way: list[tuple[Packet, np.ndarray]] = []
    acknowledgements: list[int] = []
    for stamp in range(1, 25):
        image = image.copy()
        x, y = int(rng.integers(0, width - 12)), int(rng.integers(0, height - 12))
        image[y : y + 12, x : x + 12] = rng.integers(0, 256)
        noisy = np.clip(image + rng.normal(0, 1.5, image.shape), 0, 255).astype(np.uint8)
        on_the_way.append((encoder.encode(frame_of(noisy, stamp, encoding)), noisy))
        while on_the_way and rng.random() < 0.6:
            packet, original = on_the_way.pop(int(rng.integers(len(on_the_way))))
            if rng.random() < 0.2:
                continue
            try:
                decoded = decoder.decode(packet).image
            except ReferenceMissing:
                assert packet.kind is DELTA
                encoder.require_key()
                continue
            assert worst_mean(decoded, original) <= threshold + codec_loss
            assert np.abs(decoded.astype(float) - original).mean() <= 8
            acknowledgements.append(packet.key.stamp_ns)
        while acknowledgements and rng.random() < 0.6:
            encoder.acknowledge(acknowledgements.pop(int(rng.integers(len(acknowledgements)))))
        if rng.random() < 0.05:
            decoder = Decoder(references_kept=2)
        if rng.random() < 0.05:
            encoder.forget()


def test_without_loss_of_pixels_every_chain_of_deltas_is_exact_where_it_was_sent(
    scene, frame_of, config_of
) -> None:
    """png: what the encoder believes that the decoder holds is what it holds, to the last bit."""
    encoder = Encoder(config_of(codec="png", change_threshold=0.0, key_share=1.0, tile_px=16))
    decoder = Decoder()
    rng = np.random.default_rng(4)
    image = scene(70, 50)
    kinds = []
    for stamp in range(1, 40):
        image = image.copy()
        x, y = rng.integers(0, 40, 2)
        image[y : y + 4, x : x + 4] = rng.integers(0, 256, 3)
        packet = encoder.encode(frame_of(image, stamp))
        kinds.append(packet.kind)
        decoded = decoder.decode(packet).image
        # A difference of less than half a gray level in the mean of a cell rounds to none.
        assert worst_mean(decoded, image) <= 1
        if rng.random() < 0.5:
            encoder.acknowledge(stamp)
    assert kinds.count(DELTA) > 30


def test_damaged_payloads_raise_codec_errors_only(pair, scene, frame_of) -> None:
    encoder, decoder = pair
    image = scene(64, 64)
    packets = [encoder.encode(frame_of(image, 1))]
    decoder.decode(packets[0])
    encoder.acknowledge(1)
    spotted = image.copy()
    spotted[:20, :20] = 255
    packets.append(encoder.encode(frame_of(spotted, 2)))
    rng = np.random.default_rng(5)
    for round_ in range(600):
        packet = packets[round_ % 2]
        data = bytearray(packet.payload)
        style = rng.integers(0, 3)
        if style == 0:
            data = data[: rng.integers(0, len(data))]
        elif style == 1:
            data[rng.integers(0, len(data))] ^= 1 << int(rng.integers(0, 8))
        else:
            data = bytearray(rng.bytes(int(rng.integers(0, 200))))
        with pytest.raises(CodecError):
            decoder.decode(dataclasses.replace(packet, payload=bytes(data)))


def test_forged_payloads_raise_codec_errors_or_give_a_frame_of_the_size_announced(
    pair, scene, frame_of
) -> None:
    """A peer that lies can make any checksum fit; it gets an error or its own wrong picture."""
    encoder, decoder = pair
    image = scene(64, 64)
    packets = [encoder.encode(frame_of(image, 1))]
    decoder.decode(packets[0])
    encoder.acknowledge(1)
    spotted = image.copy()
    spotted[:20, :20] = 255
    packets.append(encoder.encode(frame_of(spotted, 2)))
    rng = np.random.default_rng(6)
    refused = 0
    for round_ in range(2000):
        packet = packets[round_ % 2]
        data = bytearray(packet.payload)
        if rng.random() < 0.2:
            data = data[: rng.integers(8, len(data))]
        reach = 60 if rng.random() < 0.7 else len(data)
        for _ in range(int(rng.integers(1, 4))):
            data[rng.integers(0, min(reach, len(data)))] = int(rng.integers(0, 256))
        try:
            frame = decoder.decode(with_check(packet, bytes(data)))
        except CodecError:
            refused += 1
            continue
        assert frame.image.shape == image.shape
    assert refused > 500


def test_on_the_synthetic_line_deltas_save_most_of_the_bytes(
    frame_of, config_of, record_property
) -> None:
    line = Line(LineOptions(seed=3, width_px=320, height_px=320))
    sizes = {}
    for name, interval in (("deltas", 60), ("keys only", 0)):
        encoder, decoder = Encoder(config_of(key_interval_frames=interval)), Decoder()
        sizes[name] = 0
        for index in range(60):
            packet = encoder.encode(frame_of(line.image(index), index + 1))
            sizes[name] += len(packet.payload)
            decoder.decode(packet)
            encoder.acknowledge(index + 1)
    line.close()
    record_property("share of the bytes of key frames", sizes["deltas"] / sizes["keys only"])
    assert sizes["deltas"] < 0.7 * sizes["keys only"]


def test_two_pictures_under_one_stamp_are_never_taken_for_each_other(scene, config_of) -> None:
    encoder, decoder = Encoder(config_of(codec="png", key_share=0.5)), Decoder()

    def frame(seed: int, corner: int) -> ClearedFrame:
        image = scene(96, 96, "mono8", seed)
        image[:32, :32] = corner
        return GATE.clear(Frame(FrameKey("main", 5, f"a-{seed}-{corner}"), image, "mono8"))

    for seed in (1, 2):
        decoder.decode(encoder.encode(frame(seed, 0)))
    encoder.acknowledge(5)  # which of them? It must not be guessed
    assert encoder.encode(frame(1, 0)).kind is KEY
    encoder.acknowledge(5, "a-2-0")
    for corner in (100, 200):
        packet = encoder.encode(frame(2, corner))
        assert (packet.kind, packet.reference_ns) == (DELTA, 5)
        assert np.array_equal(decoder.decode(packet).image, frame(2, corner).image)
    encoder.acknowledge(5, "a-2-200")
    packet = encoder.encode(frame(2, 50))
    assert packet.kind is DELTA
    assert np.array_equal(decoder.decode(packet).image, frame(2, 50).image)


def test_references_follow_a_recording_that_begins_again(pair, scene, frame_of) -> None:
    encoder, decoder = pair
    image = scene(64, 64)
    for n in range(1, 4):
        decoder.decode(encoder.encode(frame_of(image, 1000 * n)))
    encoder.acknowledge(3000)
    for stamp_ns in (1000, 2000):  # the first pass is over
        decoder.decode(encoder.encode(frame_of(image, stamp_ns)))
        encoder.acknowledge(stamp_ns)
        assert encoder.reference_ns == stamp_ns
