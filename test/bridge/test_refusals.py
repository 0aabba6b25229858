"""What the gateway refuses or cannot decode, and which picture it holds as a reference."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from mastra_ros.protocol import Ack, KeyFrameRequest, Nack, Settings
from mastra_ros.types import FrameKey, PacketKind

DELTA = PacketKind.DELTA
DEADLINE_MS = 5000.0


def silent(frame: Any) -> list[Any]:
    return []


@pytest.mark.parametrize("code", ["corrupt", "too_large", "forbidden", "failed"])
def test_a_live_frame_that_is_refused_fails_with_the_reason(
    connected: Any, gateway: Any, ears: Any, packet: Any, code: str
) -> None:
    gateway.answer = lambda frame: [Nack(frame.stream, frame.stamp_ns, code, "for a test")]
    client = connected()
    client.send(packet(1), DEADLINE_MS)
    ears.wait(lambda: ears.failures)
    assert ears.failures == [
        (FrameKey("main", 1), f"the gateway refused the frame: {code} for a test")
    ]
    gateway.answer = gateway.commit
    client.send(packet(2), DEADLINE_MS)
    ears.wait(lambda: ears.results)
    assert ears.status.spooled_total == 0


@pytest.mark.parametrize("code", ["reference_missing", "corrupt", "too_large", "forbidden"])
def test_a_spooled_frame_that_is_refused_is_given_up_and_counted(
    connected: Any, gateway: Any, ears: Any, packet: Any, code: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    gateway.answer = lambda frame: [Nack(frame.stream, frame.stamp_ns, code, "for a test")]
    client = connected()
    with caplog.at_level(logging.WARNING):
        client.send(packet(1, DELTA, late=True), 0.0)
        ears.wait_status(lambda s: s.dropped == 1 and s.link.spooled == 0)
    assert code in caplog.text
    assert not ears.failures
    assert not ears.status.key_frame_needed
    assert ears.status.delivered_late == 0


def test_an_overloaded_gateway_gets_the_frame_again_later(
    connected: Any, gateway: Any, ears: Any, packet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mastra_ros.bridge.scavenger.OVERLOAD_NS", 100_000_000)
    refused: list[int] = []

    def refuse_twice(frame: Any) -> Any:
        if len(refused) < 2:
            refused.append(frame.stamp_ns)
            return [Nack(frame.stream, frame.stamp_ns, "overloaded")]
        return gateway.commit(frame)

    gateway.answer = refuse_twice
    client = connected()
    client.send(packet(1), DEADLINE_MS)
    ears.wait_status(lambda s: s.delivered_late == 1 and s.link.spooled == 0)
    assert ears.failed_keys == [1]
    assert [frame.late for frame in gateway.frames] == [False, True, True]
    assert ears.status.dropped == 0


def test_a_missing_reference_asks_for_a_key_frame_until_one_is_sent(
    connected: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    client = connected()
    client.send(packet(1), DEADLINE_MS)
    ears.wait_status(lambda s: s.acknowledged_ns == 1)
    gateway.answer = lambda frame: [
        Nack(frame.stream, frame.stamp_ns, "reference_missing"), KeyFrameRequest(frame.stream)
    ]  # fmt: skip
    client.send(packet(2, DELTA), DEADLINE_MS)
    ears.wait_status(lambda s: s.key_frame_needed and s.acknowledged_ns == 0)
    assert ears.failed_keys == [2]
    gateway.answer = gateway.commit
    client.send(packet(3), DEADLINE_MS)
    ears.wait_status(lambda s: not s.key_frame_needed and s.acknowledged_ns == 3)
    assert ears.status.spooled_total == 0


def test_a_key_frame_that_is_coming_already_is_not_asked_for_again(
    connected: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    gateway.answer = silent
    client = connected()
    client.send(packet(1), DEADLINE_MS)
    ears.wait(lambda: gateway.frames)
    gateway.say(KeyFrameRequest("main"))
    gateway.say(Settings({"seen": 1}))
    ears.wait(lambda: ears.settings)
    assert not ears.status.key_frame_needed


def test_features_and_duplicates_are_no_references(
    connected: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    client = connected()
    client.send(packet(1, PacketKind.FEATURES), DEADLINE_MS)
    ears.wait(lambda: len(ears.results) == 1)
    gateway.committed.append(FrameKey("main", 2))
    client.send(packet(2), DEADLINE_MS)
    ears.wait(lambda: len(ears.results) == 2)
    ears.wait_status(lambda s: s.link.in_flight == 0)
    assert ears.status.acknowledged_ns == 0


def test_the_newest_acknowledged_picture_counts_whatever_the_order(
    connected: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    gateway.answer = silent
    client = connected()
    for stamp in (30, 10, 20):  # sent in this order: a source may start again at 0
        client.send(packet(stamp), DEADLINE_MS)
    ears.wait(lambda: len(gateway.frames) == 3)
    gateway.say(Ack("main", 20))
    gateway.say(Ack("main", 30))
    ears.wait_status(lambda s: s.link.in_flight == 1)
    assert ears.status.acknowledged_ns == 20
