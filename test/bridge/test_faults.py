"""The bridge on a bad link: cut, stalled, reset, slow, and a gateway that dies or talks rubbish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mastra_ros.protocol import Goodbye, HeartbeatAck, encode
from mastra_ros.types import PacketKind

DEADLINE_MS = 20_000.0


def silent(frame: Any) -> list[Any]:
    return []


@pytest.fixture
def spoilt(bridge: Any, config: Any, ears: Any, link: Any) -> Iterator[Any]:
    """Makes bridges that reach the gateway by a link that can be spoilt; stops them before it."""
    made: list[Any] = []

    def make(**changes: Any) -> Any:
        client = bridge(
            config(
                **{
                    "gateway": link.uri,
                    "heartbeat_timeout_ms": 400.0,
                    "connect_timeout_s": 1.0,
                    **changes,
                }
            )
        )
        made.append(client)
        ears.wait_status(lambda status: status.link.connected, "a session")
        return client

    yield make
    for client in made:
        client.stop(10.0)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("down@0s", "the gateway is silent for"),
        ("stall@0s", "the gateway is silent for"),
        ("reset@20ms", "the connection was closed"),
    ],
)
def test_frames_in_flight_fail_when_the_link_is_lost_and_are_delivered_when_it_is_back(
    spoilt: Any, link: Any, gateway: Any, ears: Any, packet: Any, fault: str, said: str
) -> None:
    gateway.answer = silent
    client = spoilt()
    client.send(packet(1), DEADLINE_MS)
    client.send(packet(2, PacketKind.DELTA), DEADLINE_MS)
    ears.wait(lambda: len(gateway.frames) == 2)
    link.spoil(fault)
    ears.wait(lambda: len(ears.failures) == 2, "both failures")
    assert ears.failed_keys == [1, 2]
    assert said in ears.failures[0][1]
    ears.wait(lambda: any(not s.link.connected for s in ears.statuses[1:]))
    gateway.answer = gateway.commit
    link.mend()
    ears.wait_status(lambda s: s.delivered_late == 2 and s.link.spooled == 0, "the backlog")
    assert ears.status.session >= 2
    assert [key.stamp_ns for key in gateway.committed] == [1, 2]
    assert all(result.late for result in ears.results)
    assert ears.status.error == ""


def test_what_was_committed_before_the_link_broke_counts_once(
    spoilt: Any, link: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    def commit_and_say_nothing(frame: Any) -> list[Any]:
        gateway.commit(frame)
        return []

    gateway.answer = commit_and_say_nothing
    client = spoilt()
    client.send(packet(1), DEADLINE_MS)
    ears.wait(lambda: gateway.committed)
    gateway.answer = gateway.commit
    link.spoil("reset@20ms")
    ears.wait_status(lambda s: s.delivered_late == 1 and s.link.spooled == 0)
    assert len(gateway.frames) == 2
    assert [key.stamp_ns for key in gateway.committed] == [1]


def test_a_frame_that_is_answered_but_not_acknowledged_has_not_failed(
    spoilt: Any, link: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    gateway.answer = lambda frame: gateway.commit(frame)[:1]
    client = spoilt()
    client.send(packet(1), DEADLINE_MS)
    ears.wait(lambda: ears.results)
    gateway.answer = gateway.commit
    link.spoil("reset@20ms")
    ears.wait_status(lambda s: s.delivered_late == 1 and s.link.spooled == 0)
    assert not ears.failures


def test_a_stalled_link_shows_as_frames_in_flight_and_not_as_bytes_in_buffers(
    spoilt: Any, link: Any, ears: Any, packet: Any
) -> None:
    client = spoilt(in_flight_max=3)
    before = ears.status.uploaded_bytes
    link.spoil("stall@0s")
    for stamp in range(1, 6):
        client.send(packet(stamp, size=4_000_000), DEADLINE_MS)
    ears.wait(lambda: len(ears.failures) == 5)
    assert "3 frames are in flight" in ears.failures[0][1]
    assert ears.status.uploaded_bytes - before < 2_000_000  # what the proxy and kernels hold
    link.mend()
    ears.wait_status(lambda s: s.delivered_late == 5 and s.link.spooled == 0, "all five")


def test_a_slow_link_is_slow_and_not_lost(
    spoilt: Any, link: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    """Sending one frame takes longer than the silence that is allowed."""
    client = spoilt()
    link.spoil("rate=1mbit@0s")
    client.send(packet(1, size=120_000), DEADLINE_MS)  # about a second
    ears.wait(lambda: ears.results, "the result")
    assert ears.status.session == 1
    assert not ears.failures
    ears.wait_status(lambda s: s.link.rtt_ms > 50.0, "heartbeats that had to wait")


def test_a_delay_is_measured(spoilt: Any, link: Any, ears: Any) -> None:
    spoilt()
    link.spoil("delay=150ms@0s")
    ears.wait_status(lambda s: s.link.rtt_ms > 100.0, "the delay")
    assert ears.status.link.connected


def test_a_deadline_that_passes_before_the_link_takes_the_frame_fails_it(
    spoilt: Any, link: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    client = spoilt(heartbeat_timeout_ms=20_000.0)
    link.spoil("stall@0s")
    client.send(packet(1, size=8_000_000), DEADLINE_MS)
    client.send(packet(2), 100.0)
    ears.wait_status(lambda s: s.link.spooled == 1 and s.link.in_flight == 1)
    assert ears.status.link.connected
    link.mend()
    ears.wait(lambda: ears.result_keys == [1, 2], "the first in time, the second late")
    assert [result.late for result in ears.results] == [False, True]
    assert [frame.late for frame in gateway.frames] == [False, True]
    ears.wait_status(lambda s: s.delivered_late == 1 and s.link.spooled == 0)


def test_a_gateway_that_dies_and_comes_back_is_found_again(
    connected: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    client = connected()
    client.send(packet(1), DEADLINE_MS)
    ears.wait_status(lambda s: s.acknowledged_ns == 1)
    gateway.stop()
    ears.wait_status(lambda s: not s.link.connected and s.error != "")
    assert ears.status.acknowledged_ns == 0  # whoever comes back may know nothing
    client.send(packet(2), DEADLINE_MS)
    ears.wait(lambda: ears.failed_keys == [2])
    gateway.start()
    ears.wait_status(lambda s: s.session == 2 and s.delivered_late == 1)
    client.send(packet(3), DEADLINE_MS)
    ears.wait_status(lambda s: s.acknowledged_ns == 3)


def test_a_gateway_that_stops_answering_heartbeats_is_lost(
    spoilt: Any, gateway: Any, ears: Any
) -> None:
    spoilt()
    gateway.mute = True
    ears.wait_status(lambda s: not s.link.connected)
    assert any("silent" in s.error for s in ears.statuses)


def test_a_gateway_that_talks_but_answers_no_heartbeat_is_lost_later(
    spoilt: Any, gateway: Any, ears: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mastra_ros.protocol.session.UNANSWERED_FACTOR", 4)
    spoilt()
    gateway.answers_heartbeats = False  # yet goes on with heartbeats of its own
    ears.wait(lambda: any(s.link.connected and s.link.loss > 0.5 for s in ears.statuses))
    ears.wait(lambda: any("is silent for 1" in s.error for s in ears.statuses), "1.6 s or more")


@pytest.mark.parametrize(
    "data", [b"rubbish", b"", "text", encode(HeartbeatAck(10**9, 0)), bytes(5000)]
)
def test_a_gateway_that_breaks_the_protocol_is_told_and_left(
    connected: Any, gateway: Any, ears: Any, packet: Any, data: Any
) -> None:
    gateway.answer = silent
    client = connected(message_bytes_max=4096)
    client.send(packet(1), DEADLINE_MS)
    ears.wait(lambda: gateway.frames)
    gateway.answer = gateway.commit
    gateway.say_raw(data)
    ears.wait(lambda: ears.failures)
    ears.wait_status(lambda s: s.session == 2 and s.delivered_late == 1)
    said = [m for m in gateway.heard if type(m) is Goodbye]
    assert [m.code for m in said] == ([] if len(data) > 4096 else ["protocol"])


def test_a_goodbye_of_the_gateway_is_reported_and_the_bridge_returns(
    connected: Any, gateway: Any, ears: Any
) -> None:
    connected()
    gateway.say(Goodbye("overloaded", "come back later"))
    ears.wait(lambda: any("overloaded come back later" in s.error for s in ears.statuses))
    ears.wait_status(lambda s: s.session == 2)


def test_a_gateway_that_never_welcomes_is_given_up(
    bridge: Any, config: Any, gateway: Any, ears: Any
) -> None:
    gateway.greets = False
    bridge(config(connect_timeout_s=0.3))
    ears.wait_status(lambda s: "no welcome within 0.3 s" in s.error)
    gateway.greets = True
    ears.wait_status(lambda s: s.link.connected)


def test_a_broken_spool_is_reported_and_live_frames_go_on(
    connected: Any, ears: Any, packet: Any, tmp_path: Any
) -> None:
    (tmp_path / "file").write_text("")
    client = connected(spool_path=str(tmp_path / "file" / "spool.sqlite"))
    client.send(packet(1, late=True), 0.0)
    client.send(packet(2), DEADLINE_MS)
    ears.wait(lambda: ears.result_keys == [2])
    ears.wait_status(lambda s: s.dropped == 1 and "spool.sqlite" in s.error)


def test_a_damaged_spool_is_reported_and_used_again(
    connected: Any, ears: Any, packet: Any, tmp_path: Any
) -> None:
    (tmp_path / "spool.sqlite").write_bytes(b"this is no database at all" * 1000)
    client = connected()
    client.send(packet(1, late=True), 0.0)
    ears.wait_status(lambda s: s.delivered_late == 1 and s.link.spooled == 0)
    assert "a fresh one begun" in ears.status.error
