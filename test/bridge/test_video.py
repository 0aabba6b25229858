"""Video packets on their way: announced codecs, kept order, and a key frame where it breaks."""

from __future__ import annotations

from typing import Any

import pytest

from mastra_ros.protocol import Ack, Hello, KeyFrameRequest, Nack
from mastra_ros.types import Packet, PacketKind

DEADLINE_MS = 20_000.0
VIDEO, REPEAT = PacketKind.VIDEO, PacketKind.REPEAT


@pytest.fixture
def video(packet: Any) -> Any:
    """Makes packets of video; without a reference they are keys."""

    def make(stamp_ns: int, reference_ns: int = 0, kind: PacketKind = VIDEO, **more: Any) -> Packet:
        return packet(stamp_ns, kind, reference_ns=reference_ns, codec="h264", **more)

    return make


@pytest.fixture
def sees_video(gateway: Any, connected: Any, bridge: Any, config: Any, ears: Any) -> Any:
    """A bridge to a gateway that decodes H.264."""
    gateway.codecs = ("h264",)

    def make(**changes: Any) -> Any:
        client = bridge(config(**changes), codecs=("h264", "vp9"))
        ears.wait_status(lambda status: status.codecs == ("h264",), "the announcement")
        return client

    return make


def stamps(gateway: Any) -> list[int]:
    return [frame.stamp_ns for frame in gateway.frames]


def asked(ears: Any) -> int:
    return ears.status.key_frames_asked if ears.status.key_frame_needed else 0


def test_both_ends_announce_their_codecs(sees_video: Any, gateway: Any) -> None:
    sees_video()
    (hello,) = (message for message in gateway.heard if isinstance(message, Hello))
    assert hello.codecs == ("h264", "vp9")


def test_video_travels_in_order_and_names_what_it_rests_on(
    sees_video: Any, gateway: Any, ears: Any, video: Any
) -> None:
    client = sees_video()
    for one in (video(1), video(2, 1), video(3, 2), video(4, 3, REPEAT)):
        client.send(one, DEADLINE_MS)
    ears.wait(lambda: len(ears.results) == 4, "the answers")
    assert [(f.kind, f.reference_ns) for f in gateway.frames] == [
        ("video", 0),
        ("video", 1),
        ("video", 2),
        ("repeat", 3),
    ]
    ears.wait_status(lambda status: not status.key_frame_needed, "the wish to be granted")


def test_no_new_kind_goes_to_a_gateway_that_did_not_announce_it(
    connected: Any, gateway: Any, ears: Any, video: Any, packet: Any
) -> None:
    client = connected()
    assert ears.status.codecs == ()
    for one in (video(1), video(2, 1), video(3, 2, REPEAT)):
        client.send(one, DEADLINE_MS)
    ears.wait(lambda: len(ears.failures) == 3, "the failures")
    assert "does not decode h264" in ears.failures[0][1]
    client.send(packet(9), DEADLINE_MS)
    ears.wait(lambda: len(ears.results) == 1, "a still passes")
    assert stamps(gateway) == [9]
    assert [key.stamp_ns for key in ears.renewals] == [1, 2, 3]


def test_a_codec_that_the_gateway_lacks_is_not_sent_beside_one_that_it_has(
    sees_video: Any, gateway: Any, ears: Any, video: Any
) -> None:
    client = sees_video()
    client.send(video(1), DEADLINE_MS)
    other = Packet(**{**vars(video(2)), "codec": "av1"})
    client.send(other, DEADLINE_MS)
    ears.wait(lambda: len(ears.failures) == 1 and len(ears.results) == 1, "both ends")
    assert stamps(gateway) == [1]


def test_the_spool_keeps_no_video_and_asks_for_the_frame_whole(
    bridge: Any, config: Any, ears: Any, video: Any, packet: Any
) -> None:
    client = bridge(config(gateway="wss://127.0.0.1:1"))
    for one in (video(1), video(2, 1), packet(3)):
        client.send(one, DEADLINE_MS)
    ears.wait_status(lambda status: status.link.spooled == 1, "the still")
    ears.wait(lambda: len(ears.renewals) == 2, "the frames of video")
    assert [key.stamp_ns for key in ears.renewals] == [1, 2]


@pytest.mark.parametrize("code", ["reference_missing", "overloaded", "corrupt", "failed"])
def test_what_rests_on_a_refused_packet_is_not_sent_until_a_key_frame_is(
    sees_video: Any, gateway: Any, ears: Any, video: Any, code: str
) -> None:
    client = sees_video()
    gateway.answer = lambda frame: (
        [Nack(frame.stream, frame.stamp_ns, code, "as told", frame.id)]
        if frame.stamp_ns == 2
        else gateway.commit(frame)
    )
    client.send(video(1), DEADLINE_MS)
    client.send(video(2, 1), DEADLINE_MS)
    ears.wait_status(lambda status: status.key_frame_needed, "the wish for a key frame")
    for one in (video(3, 2), video(4, 2, REPEAT)):
        client.send(one, DEADLINE_MS)
    ears.wait(lambda: len(ears.failures) == 3, "what rests on it")
    assert asked(ears) == 1
    client.send(video(5), DEADLINE_MS)
    client.send(video(6, 5), DEADLINE_MS)
    ears.wait(lambda: len(ears.results) == 3, "the new chain")
    assert stamps(gateway) == [1, 2, 5, 6]
    ears.wait_status(lambda status: not status.key_frame_needed, "the wish to be granted")


def test_a_key_frame_that_is_lost_itself_is_asked_for_once_more(
    sees_video: Any, gateway: Any, ears: Any, video: Any
) -> None:
    client = sees_video()
    gateway.answer = lambda frame: [Nack(frame.stream, frame.stamp_ns, "overloaded", "", frame.id)]
    client.send(video(1), DEADLINE_MS)
    ears.wait_status(lambda status: status.key_frames_asked == 1, "the first wish")
    client.send(video(2), DEADLINE_MS)
    ears.wait_status(lambda status: status.key_frames_asked == 2, "the second wish")


def test_a_packet_that_was_never_sent_ends_the_chain(
    sees_video: Any, gateway: Any, ears: Any, video: Any
) -> None:
    gateway.answer = lambda frame: []
    client = sees_video(in_flight_max=2)
    for one in (video(1), video(2, 1), video(3, 2)):
        client.send(one, DEADLINE_MS)
    ears.wait_status(lambda status: status.key_frame_needed, "the wish for a key frame")
    for stamp_ns in (1, 2):
        gateway.say(Ack("main", stamp_ns))
    ears.wait_status(lambda status: status.link.in_flight == 0, "room")
    client.send(video(4, 3), DEADLINE_MS)
    ears.wait(lambda: len(ears.failures) == 2, "the failures")
    client.send(video(5), DEADLINE_MS)
    ears.wait(lambda: stamps(gateway) == [1, 2, 5], "the key frame")
    ears.wait_status(lambda status: not status.key_frame_needed, "the wish to be granted")


def test_a_refusal_from_before_the_key_frame_does_not_end_its_chain(
    sees_video: Any, gateway: Any, ears: Any, video: Any
) -> None:
    client = sees_video()
    gateway.answer = lambda frame: []
    for one in (video(1), video(2, 1), video(3)):
        client.send(one, DEADLINE_MS)
    ears.wait(lambda: stamps(gateway) == [1, 2, 3], "all three")
    gateway.say(Nack("main", 2, "reference_missing"))
    gateway.say(KeyFrameRequest("main"))
    ears.wait(lambda: len(ears.failures) == 1, "the refusal")
    client.send(video(4, 3), DEADLINE_MS)
    ears.wait(lambda: stamps(gateway) == [1, 2, 3, 4], "what rests on the key frame")
    ears.wait_status(lambda status: not status.key_frame_needed, "the wish to be granted")


def test_a_new_session_begins_with_a_key_frame(
    sees_video: Any, gateway: Any, ears: Any, video: Any
) -> None:
    client = sees_video()
    client.send(video(1), DEADLINE_MS)
    ears.wait(lambda: len(ears.results) == 1)
    gateway.stop()
    ears.wait_status(lambda status: not status.link.connected, "the loss")
    gateway.start()
    ears.wait_status(lambda status: status.codecs == ("h264",), "another session")
    client.send(video(2, 1), DEADLINE_MS)
    ears.wait(lambda: len(ears.failures) == 1, "the failure")
    client.send(video(3), DEADLINE_MS)
    ears.wait(lambda: len(ears.results) == 2, "the key frame")
    assert stamps(gateway) == [1, 3]


def test_after_three_refused_key_frames_the_codec_is_left_alone_for_this_session(
    sees_video: Any, gateway: Any, ears: Any, video: Any, caplog: Any
) -> None:
    client = sees_video()
    gateway.answer = lambda frame: [Nack(frame.stream, frame.stamp_ns, "corrupt", "", frame.id)]
    for stamp_ns in (1, 2, 3):
        client.send(video(stamp_ns), DEADLINE_MS)
        ears.wait(lambda n=stamp_ns: len(ears.failures) == n, "the refusal")
    ears.wait_status(lambda status: status.codecs == (), "the codec to be left")
    assert "refuses 3 key frames of h264 (corrupt)" in caplog.text


def test_an_overdue_packet_of_video_leaves_the_still_in_the_spool_alone(
    sees_video: Any, gateway: Any, ears: Any, video: Any, packet: Any
) -> None:
    client = sees_video()
    gateway.answer = lambda frame: [] if frame.kind == "video" else gateway.commit(frame)
    client.send(video(1), 30.0)
    ears.wait(lambda: ears.renewals, "the wish for the whole frame")
    client.send(packet(1, late=True), 0.0)
    gateway.say(Nack("main", 1, "reference_missing"))
    ears.wait_status(lambda s: s.delivered_late == 1 and s.link.spooled == 0, "the still")
    assert ears.status.dropped == 0
