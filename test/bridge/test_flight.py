"""What is under way, what waits, and pauses: pure bookkeeping."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from typing import Any

import pytest

from mastra_ros.bridge.backoff import Backoff
from mastra_ros.bridge.flight import SECOND, UNANSWERED_NS, Flight, Goodput
from mastra_ros.bridge.outbox import Outbox
from mastra_ros.bridge.uplink import end_tasks

MS = 1_000_000


def test_a_live_packet_is_overdue_at_twice_its_deadline(packet: Any) -> None:
    flight = Flight()
    entry = flight.add_live(packet(1), 100 * MS, 50.0)
    assert (entry.deadline_ns, entry.overdue_ns) == (150 * MS, 200 * MS)
    assert flight.make_overdue(199 * MS) == []
    assert flight.make_overdue(200 * MS) == [entry]
    assert not flight.live
    assert flight.in_spool() == {entry.packet.key}


def test_a_packet_without_a_deadline_has_a_long_one(packet: Any) -> None:
    assert Flight().add_live(packet(1), 0, 0.0).deadline_ns == UNANSWERED_NS


def test_a_frame_that_goes_live_again_while_it_is_overdue_is_one_frame(packet: Any) -> None:
    flight = Flight()
    flight.add_live(packet(1), 0, 50.0)
    flight.make_overdue(SECOND)
    again = flight.add_live(packet(1, hard=True), SECOND, 400.0)
    assert flight.remove(again.packet.key) == (again, True)  # the spool has it, too
    assert flight.find(again.packet.key) is None


def test_what_was_sent_and_never_acknowledged_may_be_sent_again(packet: Any) -> None:
    flight = Flight()
    sent = flight.add_backlog(packet(1), 0)
    waiting = flight.add_backlog(packet(2), 0)
    sent.size = 500
    flight.forget_unanswered(UNANSWERED_NS)
    assert len(flight.backlog) == 2
    flight.forget_unanswered(UNANSWERED_NS + 1)
    assert list(flight.backlog.values()) == [waiting]


def test_what_is_lost_is_given_back_once(packet: Any) -> None:
    flight = Flight()
    entry = flight.add_live(packet(1), 0, 50.0)
    flight.add_backlog(packet(2), 0)
    assert list(flight.lose()) == [entry]
    assert list(flight.lose()) == []
    assert not flight.in_spool()


def test_goodput_counts_bits_while_something_is_under_way() -> None:
    goodput = Goodput()
    assert math.isnan(goodput.bps)
    goodput.sent(0)
    goodput.acknowledged(125_000, SECOND, idle=True)
    assert goodput.bps == 1e6
    goodput.sent(100 * SECOND)  # the pause before does not count
    goodput.acknowledged(250_000, 101 * SECOND, idle=True)
    assert goodput.bps == pytest.approx(0.7 * 1e6 + 0.3 * 2e6)


def test_what_the_gateway_holds_is_no_time_of_the_link() -> None:
    goodput = Goodput()
    goodput.sent(0)
    goodput.acknowledged(125_000, 2 * SECOND, idle=True, held_ns=SECOND)
    assert goodput.bps == 1e6
    lying = Goodput()
    lying.sent(0)
    lying.acknowledged(125_000, 10 * SECOND, idle=True, held_ns=1000 * SECOND)
    assert lying.bps == 1e6  # a tenth of the time counts whatever a gateway says


def test_pauses_double_up_to_the_longest_and_start_again_after_success() -> None:
    backoff = Backoff(0.1, 1.0, random.Random(1))
    pauses = [backoff.next_s() for _ in range(200)]
    assert all(0.05 <= pause <= 1.0 for pause in pauses)
    assert pauses[0] <= 0.1
    assert pauses[1] <= 0.2
    assert max(pauses[4:]) > 0.9
    assert len(set(pauses)) == 200
    backoff.reset()
    assert backoff.next_s() <= 0.1


def test_tasks_end_even_if_one_misses_its_first_cancellation() -> None:
    async def stubborn(missed: list[int]) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        missed.append(1)
        await asyncio.sleep(60)

    async def end() -> list[int]:
        missed: list[int] = []
        task = asyncio.ensure_future(stubborn(missed))
        await asyncio.sleep(0)
        await asyncio.wait_for(end_tasks(task), 20.0)
        assert task.cancelled()
        return missed

    assert asyncio.run(end()) == [1]


def test_control_goes_before_live_packets_and_those_before_the_backlog(packet: Any) -> None:
    async def fill_and_empty() -> list[Any]:
        outbox, flight = Outbox(), Flight()
        outbox.put_backlog(flight.add_backlog(packet(1), 0))
        outbox.put_live(flight.add_live(packet(2), 0, 50.0))
        outbox.put_live(flight.add_live(packet(3), 0, 50.0))
        outbox.put_control(b"heartbeat")
        assert outbox.live_waiting
        assert outbox.withdraw(packet(3).key)
        assert not outbox.withdraw(packet(1).key)
        items = [await outbox.get() for _ in range(3)]
        assert not outbox.live_waiting
        later = asyncio.ensure_future(outbox.get())
        await asyncio.sleep(0)
        assert not later.done()
        outbox.put_control(b"later")
        return [*items, await later]

    first, second, third, last = asyncio.run(fill_and_empty())
    assert (first, last) == (b"heartbeat", b"later")
    assert (second.packet.key.stamp_ns, third.packet.key.stamp_ns) == (2, 1)
