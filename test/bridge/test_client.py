"""The bridge with a gateway: what is sent, acknowledged, answered, refused and asked for."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from mastra_ros.protocol import (
    Ack,
    Goodbye,
    Heartbeat,
    ResultMessage,
    Settings,
)
from mastra_ros.types import FrameKey, PacketKind

DELTA = PacketKind.DELTA
DEADLINE_MS = 5000.0


def silent(frame: Any) -> list[Any]:
    return []


def test_a_frame_is_answered_and_acknowledged(
    connected: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    client = connected()
    client.send(packet(7), DEADLINE_MS)
    ears.wait(lambda: ears.results, "a result")
    (result,) = ears.results
    assert result.key == FrameKey("main", 7)
    assert (result.origin.value, result.model, result.late) == ("cloud", "fake", False)
    status = ears.wait_status(lambda s: s.acknowledged_ns == 7 and s) or ears.status
    assert ears.status.link.in_flight == 0
    assert ears.status.uploaded_bytes > 500
    assert ears.status.session == 1
    assert ears.status.error == ""
    assert status
    (frame,) = gateway.frames
    assert 0 < frame.deadline_ms <= DEADLINE_MS
    assert frame.payload == bytes(500)
    assert not ears.failures


def test_heartbeats_measure_the_link_both_ways(connected: Any, gateway: Any, ears: Any) -> None:
    connected()
    ears.wait_status(lambda s: s.link.rtt_ms > 0 and s.link.rtt_var_ms >= 0, "a round trip")
    assert ears.status.link.loss < 1.0
    assert ears.status.link.last_heard_ns <= time.monotonic_ns()
    assert ears.status.gateway == gateway.uri
    ears.wait(lambda: sum(type(m) is Heartbeat for m in gateway.heard) > 3, "heartbeats")
    (hello,) = [m for m in gateway.heard if type(m).__name__ == "Hello"]
    assert (hello.device, hello.stream, hello.heartbeat_ms) == ("camera-1", "main", 50)


@pytest.mark.parametrize("device", ["camera-1", "camera-2"])
def test_each_connection_has_a_fresh_token_of_the_device(
    config: Any, bridge: Any, gateway: Any, ears: Any, device: str
) -> None:
    gateway._device = device
    bridge(config(device=device, token_lifetime_s=60.0))
    ears.wait_status(lambda s: s.session == 1)
    gateway.say(Goodbye())
    ears.wait_status(lambda s: s.session == 2)
    first, second = (jwt.decode(t, options={"verify_signature": False}) for t in gateway.tokens)
    assert first["jti"] != second["jti"]
    assert (first["iss"], first["sub"], first["aud"]) == (device, device, "mastra-gateway")
    assert first["exp"] - first["nbf"] == 60


def test_a_frame_without_room_in_flight_fails_at_once_and_is_spooled(
    connected: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    gateway.answer = silent
    client = connected(in_flight_max=2)
    for stamp in (1, 2, 3):
        client.send(packet(stamp), 60_000.0)
    ears.wait(lambda: ears.failures, "a failure")
    assert ears.failed_keys == [3]
    assert "2 frames are in flight" in ears.failures[0][1]
    ears.wait_status(lambda s: s.link.spooled == 1 and s.link.in_flight == 2)


def test_frames_without_a_link_fail_at_once_and_are_delivered_later(
    bridge: Any, config: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    gateway.stop()
    client = bridge(config())
    client.send(packet(1), DEADLINE_MS)
    client.send(packet(2, late=True), DEADLINE_MS)
    ears.wait_status(lambda s: s.link.spooled == 2, "two records")
    assert ears.failed_keys == [1]
    assert "no link" in ears.failures[0][1]
    ears.wait_status(lambda s: s.error != "")
    assert ears.status.link.loss == 1.0
    assert math.isnan(ears.status.link.rtt_ms)
    gateway.start()
    ears.wait_status(lambda s: s.delivered_late == 2 and s.link.spooled == 0, "the backlog")
    assert sorted(ears.result_keys) == [1, 2]
    assert all(result.late for result in ears.results)
    assert ears.status.spooled_total == 2
    assert ears.status.dropped == 0
    assert ears.status.acknowledged_ns == 0  # late pictures are no references


def test_after_an_outage_live_frames_go_first_then_key_frames_then_deltas(
    bridge: Any, config: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    gateway.stop()
    client = bridge(config(backlog_in_flight=1))
    for stamp in (1, 3, 5):
        client.send(packet(stamp, DELTA, late=True), 0.0)
    for stamp in (2, 4, 6):
        client.send(packet(stamp, late=True), 0.0)
    ears.wait_status(lambda s: s.link.spooled == 6)
    held: list[Any] = []

    def hold_the_first_late_one(frame: Any) -> Any:
        if frame.late and not held:
            held.append(frame)
            for stamp in (100, 101, 102):
                client.send(packet(stamp), DEADLINE_MS)
            return []
        if frame.stamp_ns == 102:
            return [*gateway.commit(held[0]), *gateway.commit(frame)]
        return gateway.commit(frame)

    gateway.answer = hold_the_first_late_one
    gateway.start()
    ears.wait_status(lambda s: s.delivered_late == 6, "the backlog")
    assert [f.stamp_ns for f in gateway.frames] == [2, 100, 101, 102, 4, 6, 1, 3, 5]


def test_a_delta_that_is_spooled_is_renewed_by_its_whole_picture(
    bridge: Any, config: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    gateway.stop()
    client = bridge(config())
    client.send(packet(1), DEADLINE_MS)
    client.send(packet(2, DELTA), DEADLINE_MS)
    client.send(packet(3, DELTA, late=True), 0.0)  # whoever sends it so wants it so
    ears.wait_status(lambda s: s.link.spooled == 3)
    assert ears.renewals == [FrameKey("main", 2)]
    client.send(packet(2, late=True), 0.0)
    gateway.start()
    ears.wait_status(lambda s: s.delivered_late == 3 and s.link.spooled == 0)
    kinds = {frame.stamp_ns: frame.kind for frame in gateway.frames}
    assert kinds == {1: "key", 2: "key", 3: "delta"}
    assert ears.status.spooled_total == 3


def test_late_packets_have_no_deadline_and_never_fail(
    connected: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    client = connected()
    client.send(packet(1, late=True), 1.0)
    ears.wait_status(lambda s: s.delivered_late == 1)
    assert gateway.frames[0].late
    assert gateway.frames[0].deadline_ms == 0.0
    assert not ears.failures


def test_a_frame_without_acknowledgement_at_twice_its_deadline_goes_to_the_spool(
    connected: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    gateway.answer = silent
    client = connected(in_flight_max=1)
    client.send(packet(1), 300.0)
    ears.wait_status(lambda s: s.link.in_flight == 1)
    ears.wait_status(lambda s: s.link.spooled == 1 and s.link.in_flight == 0)
    assert ears.status.link.connected
    assert len(gateway.frames) == 1  # under way still, so it is not sent twice
    gateway.say(ResultMessage("main", 1, "cloud"))
    gateway.say(Ack("main", 1))
    ears.wait_status(lambda s: s.delivered_late == 1 and s.link.spooled == 0)
    assert ears.results[0].late
    assert ears.status.link.loss > 0


def test_what_never_was_acknowledged_is_sent_again_from_the_spool(
    connected: Any, gateway: Any, ears: Any, packet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mastra_ros.bridge.flight.UNANSWERED_NS", 300_000_000)
    gateway.answer = lambda frame: gateway.commit(frame) if len(gateway.frames) > 2 else []
    client = connected()
    client.send(packet(1), 50.0)
    ears.wait_status(lambda s: s.delivered_late == 1 and s.link.spooled == 0)
    assert [frame.late for frame in gateway.frames] == [False, True, True]


def test_a_frame_too_large_for_a_message_fails_and_is_not_spooled(
    connected: Any, ears: Any, packet: Any
) -> None:
    client = connected(message_bytes_max=4096)
    client.send(packet(1, size=5000), DEADLINE_MS)
    ears.wait(lambda: ears.failures)
    assert "at most 4096 bytes" in ears.failures[0][1]
    client.send(packet(2, size=5000, late=True), DEADLINE_MS)
    ears.wait_status(lambda s: s.dropped == 1 and s.link.spooled == 0)
    client.send(packet(3), DEADLINE_MS)
    ears.wait(lambda: ears.result_keys == [3])


def test_a_frame_of_another_stream_fails(connected: Any, ears: Any, packet: Any) -> None:
    client = connected()
    client.send(packet(1, key=FrameKey("other", 1)), DEADLINE_MS)
    ears.wait(lambda: ears.failures)
    assert ears.failures == [(FrameKey("other", 1), "stream other is not main, ours")]


def test_settings_come_with_the_welcome_and_later(connected: Any, gateway: Any, ears: Any) -> None:
    gateway._settings = {"compression.quality": 60}
    connected()
    gateway.say(Settings({"compression.quality": 70}))
    ears.wait(lambda: len(ears.settings) == 2)
    assert ears.settings == [{"compression.quality": 60}, {"compression.quality": 70}]


def test_goodput_is_known_after_some_frames(
    connected: Any, gateway: Any, ears: Any, packet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connected()
    stamp = iter(range(1, 10_000))

    def known() -> bool:
        client.send(packet(next(stamp), size=50_000), DEADLINE_MS)
        return bool(ears.status.link.goodput_bps > 1e5)

    ears.wait(known, "goodput")


def test_a_callback_that_raises_harms_nobody(
    bridge: Any, config: Any, gateway: Any, ears: Any, packet: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    client = bridge(config())
    ears.wait_status(lambda s: s.link.connected)
    hear = client._on_result

    def raise_once(result: Any) -> None:
        client._on_result = hear
        raise KeyError("a fault of the node")

    client._on_result = raise_once
    client.send(packet(1), DEADLINE_MS)
    ears.wait(lambda: client._on_result is hear, "the fault")
    client.send(packet(2), DEADLINE_MS)
    ears.wait(lambda: ears.result_keys == [2])
    assert "a fault of the node" in caplog.text


def test_without_a_gateway_every_frame_fails_at_once_and_nothing_is_spooled(
    bridge: Any, config: Any, ears: Any, packet: Any, tmp_path: Any
) -> None:
    client = bridge(config(gateway="", keys_dir=""))
    client.send(packet(1), DEADLINE_MS)
    client.send(packet(2, late=True), DEADLINE_MS)
    ears.wait(lambda: len(ears.failures) == 2)
    assert ears.failures[0] == (FrameKey("main", 1), "no gateway is configured")
    ears.wait_status(lambda s: not s.link.connected)
    assert ears.status.gateway == ""
    assert ears.status.error == ""
    assert not list(tmp_path.glob("spool*"))


def test_stopping_says_goodbye_and_spools_what_is_in_flight(
    connected: Any, config: Any, bridge: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    gateway.answer = silent
    client = connected()
    client.send(packet(1), DEADLINE_MS)
    ears.wait(lambda: gateway.frames)
    assert client.stop(10.0)
    assert ears.failures == [(FrameKey("main", 1), "the bridge is stopping")]
    assert not ears.status.link.connected
    ears.wait(lambda: any(type(m) is Goodbye for m in gateway.heard), "a goodbye")
    client.send(packet(2), DEADLINE_MS)
    assert ears.failures[-1] == (FrameKey("main", 2), "the bridge is not running")
    assert client.stop()
    gateway.answer = gateway.commit
    bridge(config())
    ears.wait_status(lambda s: s.delivered_late == 1, "what was spooled by the one before")
    assert ears.result_keys == [1]


def test_a_bridge_that_never_started_can_be_stopped_and_fails_frames(
    config: Any, ears: Any, packet: Callable[..., Any]
) -> None:
    from mastra_ros.bridge import BridgeClient
    from mastra_ros.bridge.clearing import NothingToHide

    client = BridgeClient(
        config(), on_result=ears.listen(ears.results), on_failed=ears.listen(ears.failures),
        on_status=ears.listen(ears.statuses), clearer=NothingToHide(),
    )  # fmt: skip
    client.send(packet(1), DEADLINE_MS)
    assert ears.failed_keys == [1]
    assert client.stop()


def test_send_returns_while_the_bridge_is_busy(
    connected: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    client = connected()
    busy, go_on = threading.Event(), threading.Event()

    def block() -> None:
        busy.set()
        go_on.wait(20.0)

    client._loop.call_soon_threadsafe(block)
    assert busy.wait(20.0)
    for stamp in range(1, 30):  # more than may be in flight
        client.send(packet(stamp), DEADLINE_MS)
    assert not gateway.frames
    go_on.set()
    ears.wait(lambda: len(gateway.committed) == 29, "every frame, some of them later")
    ears.wait_status(lambda s: s.link.spooled == 0 and s.link.in_flight == 0)
    assert len(ears.failures) == 29 - 8


def test_a_fault_of_ours_is_logged_and_the_bridge_connects_again(
    connected: Any, gateway: Any, ears: Any, packet: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = connected()
    uplink = client._uplink
    uplink._goodput.sent = None  # called for each frame
    client.send(packet(1), DEADLINE_MS)
    ears.wait(lambda: "TypeError" in caplog.text, "the fault in the log")
    ears.wait_status(lambda s: s.session == 2 and s.link.connected, "a second session")
    assert ears.failed_keys == [1]
    del client._goodput.sent
    client.send(packet(2), DEADLINE_MS)
    ears.wait(lambda: 2 in ears.result_keys, "an answer in the second session")
