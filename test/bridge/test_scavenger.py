"""The backlog takes what live frames leave, and yields when they wait for it."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest

from mastra_ros.bridge.flight import SECOND
from mastra_ros.bridge.scavenger import OVERLOAD_NS, SLOW, STARVED_NS, YIELD_NS, Scavenger

ALLOWED_NS = SECOND // 10
SLOW_NS = int(SLOW * ALLOWED_NS) + 1


def test_a_quiet_link_has_room_for_as_many_as_allowed() -> None:
    scavenger = Scavenger(2)
    assert [scavenger.room(in_flight, 0) for in_flight in (0, 1, 2, 3)] == [2, 1, 0, 0]


def test_answers_in_good_time_change_nothing() -> None:
    scavenger = Scavenger(2)
    scavenger.live_answered(SLOW_NS - 1, ALLOWED_NS, 0)
    assert scavenger.room(0, 1) == 2


def test_the_backlog_rests_after_a_slow_live_answer() -> None:
    scavenger = Scavenger(2)
    scavenger.sent(0)
    scavenger.live_answered(SLOW_NS, ALLOWED_NS, 100)
    assert scavenger.room(0, 100 + YIELD_NS - 1) == 0
    assert scavenger.room(0, 100 + YIELD_NS) == 2


def test_where_live_answers_are_always_slow_the_backlog_trickles_one_at_a_time() -> None:
    scavenger = Scavenger(2)
    scavenger.sent(0)
    sent_at: list[int] = []
    for now_ns in range(0, 10 * SECOND, SECOND // 10):
        scavenger.live_answered(SLOW_NS, ALLOWED_NS, now_ns)
        if scavenger.room(0, now_ns):
            assert scavenger.room(0, now_ns) == 1
            assert scavenger.room(1, now_ns) == 0
            scavenger.sent(now_ns)
            sent_at.append(now_ns)
    assert sent_at == list(range(STARVED_NS, 10 * SECOND, STARVED_NS))


def test_an_overloaded_gateway_gets_nothing_for_a_while() -> None:
    scavenger = Scavenger(2)
    scavenger.overloaded(0)
    assert scavenger.room(0, OVERLOAD_NS - 1) == 0
    assert scavenger.room(0, OVERLOAD_NS) == 2


def test_a_bridge_sends_its_backlog_slowly_while_live_answers_are_slow(
    connected: Any, gateway: Any, ears: Any, packet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    starved_s = 1.0
    monkeypatch.setattr("mastra_ros.bridge.scavenger.SLOW", 0.0)  # every answer is slow
    monkeypatch.setattr("mastra_ros.bridge.scavenger.YIELD_NS", 3600 * SECOND)
    monkeypatch.setattr("mastra_ros.bridge.scavenger.STARVED_NS", int(starved_s * SECOND))
    late_at: list[float] = []

    def commit(frame: Any) -> Any:
        if frame.late:
            late_at.append(time.monotonic())
        return gateway.commit(frame)

    gateway.answer = commit
    client = connected()
    client.send(packet(1), 1000.0)
    ears.wait(lambda: ears.result_keys == [1])
    for number in (2, 3, 4):
        client.send(packet(number, late=True), 0.0)
    ears.wait_status(lambda s: s.delivered_late == 3 and s.link.spooled == 0)
    gaps = [later - earlier for earlier, later in pairwise(late_at)]
    assert len(gaps) == 2
    assert min(gaps) > 0.5 * starved_s  # the first may have taken longer on its way
