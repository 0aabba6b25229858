"""What is on its way tells when a frame sent now is answered."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastra_ros.scheduling.estimates.flow import FORGET_MS, Flow
from mastra_ros.types import FrameKey, LinkSample, Route

MS = 1_000_000
CLOUD, SPLIT = Route.CLOUD, Route.SPLIT


def key(n: int) -> FrameKey:
    return FrameKey("main", n)


def made(rtt_ms: float = 20.0, rtt_var_ms: float = 5.0) -> Flow:
    flow = Flow()
    flow.link(LinkSample(0, True, rtt_ms, rtt_var_ms))
    return flow


def answered(flow: Flow, took_ms: float, count: int = 10, start_ms: int = 0) -> int:
    """Frames one after the other, each answered before the next; when the last one was, in ms."""
    now = start_ms * MS
    for n in range(count):
        flow.sent(key(now + n), CLOUD, now)
        flow.answered(key(now + n), now + round(took_ms * MS))
        now += 1000 * MS // 10
    return now // MS


def test_before_a_first_answer_there_is_only_hope_and_without_a_link_not_even_that() -> None:
    assert math.isnan(Flow().chance(CLOUD, 150, 0))
    flow = made()
    assert flow.chance(CLOUD, 150, 0) == pytest.approx(0.8, abs=0.01)
    flow.sent(key(1), CLOUD, 0)
    assert math.isnan(flow.expected(CLOUD, 0).mean_ms)
    assert not flow.knows(CLOUD)
    flow.answered(key(1), 60 * MS)
    assert flow.knows(CLOUD)
    assert not flow.knows(SPLIT)


def test_frames_that_are_never_answered_leave_no_hope_even_if_none_ever_was() -> None:
    flow, now = made(), 0
    chances = []
    for n in range(30):
        flow.sent(key(n), CLOUD, now)
        if n % 2:  # the others are forgotten when the next one is sent
            flow.dropped(key(n), now + 150 * MS)
            chances.append(flow.chance(CLOUD, 150, now + 10_000 * MS))
        now += 4_000 * MS
    assert chances[0] > 0.6
    assert chances[-1] < 0.3
    assert len(flow) == 0


def test_a_link_that_is_lost_often_is_hoped_for_less() -> None:
    flow = made()
    now = answered(flow, 60)
    before = flow.chance(CLOUD, 150, (now + 20_000) * MS)
    for n in range(10):
        flow.sent(key(n), CLOUD, (now + n) * MS)
        flow.lost((now + n) * MS)
    assert flow.chance(CLOUD, 150, (now + 20_000) * MS) < before - 0.2


def test_an_empty_way_takes_what_it_took() -> None:
    flow = made()
    now = answered(flow, 60) * MS
    assert flow.expected(CLOUD, now).mean_ms == pytest.approx(60, abs=2)
    assert flow.chance(CLOUD, 150, now) > 0.9
    assert flow.chance(CLOUD, 55, now) < 0.1
    assert flow.chance(CLOUD, 40, now) == 0.0


def test_frames_on_their_way_make_a_new_one_wait_each_for_its_own_share() -> None:
    flow = made()
    now = answered(flow, 90) * MS  # 50 fixed, 40 of its own
    means = []
    for n in range(4):
        means.append(flow.expected(CLOUD, now).mean_ms)
        flow.sent(key(10**12 + n), CLOUD, now)
    assert means == pytest.approx([90, 130, 170, 210], abs=3)
    assert flow.chance(CLOUD, 150, now) < 0.1


def test_into_a_queue_that_stands_nothing_is_sent_and_its_first_answer_ends_that() -> None:
    flow = made()
    now = answered(flow, 60)
    flow.sent(key(7), CLOUD, now * MS)
    chances = [flow.chance(CLOUD, 150, (now + ms) * MS) for ms in (10, 70, 100, 200, 600)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.9
    assert chances[-1] < 0.25
    assert flow.expected(CLOUD, (now + 600) * MS).mean_ms > 500
    flow.answered(key(7), (now + 610) * MS)
    assert flow.chance(CLOUD, 150, (now + 610) * MS) > 0.7
    assert flow.expected(CLOUD, (now + 610) * MS).mean_ms < 100


def test_failures_count_and_are_forgotten() -> None:
    flow = made()
    now = answered(flow, 60, count=2)
    for n in range(6):
        flow.sent(key(n), CLOUD, now * MS)
        flow.dropped(key(n), now * MS)
    assert flow.chance(CLOUD, 150, now * MS) < 0.5
    soon, later = (flow.chance(CLOUD, 150, (now + s * 1000) * MS) for s in (10, 1500))
    assert 0.5 < soon < later
    assert later > 0.75
    assert len(flow) == 0


def test_a_route_that_is_mostly_late_is_hoped_for_less_than_one_that_is_not() -> None:
    good, bad = made(), made()
    for flow, took_ms in ((good, 60), (bad, 400)):
        now = answered(flow, 40, count=1)
        for n in range(20):  # one every second
            answered(flow, took_ms, count=1, start_ms=now + 1000 * n)
    later = (now + 20_000) * MS + 20_000 * MS
    assert bad.chance(CLOUD, 150, later) < 0.45 < 0.85 < good.chance(CLOUD, 150, later)


def test_heartbeats_that_wait_leave_less_hope() -> None:
    flow = made(20)
    now = answered(flow, 60, count=1)
    later = (now + 20_000) * MS
    calm = flow.chance(CLOUD, 150, later)
    flow.link(LinkSample(0, True, 400.0, 20.0))
    assert flow.chance(CLOUD, 150, later) < 0.1 < 0.7 < calm


def test_a_first_answer_that_was_slow_is_no_fixed_time() -> None:
    flow = Flow()
    flow.link(LinkSample(0, True, 500.0, 100.0))
    now = answered(flow, 900, count=1)
    flow.link(LinkSample(0, True, 20.0, 5.0))
    assert flow.chance(CLOUD, 150, (now + 10_000) * MS) > 0.5


def test_what_was_sent_before_an_answered_frame_is_gone_and_so_is_all_of_a_lost_link() -> None:
    flow = made()
    for n in range(3):
        flow.sent(key(n), CLOUD, n * MS)
    flow.answered(key(1), 50 * MS)
    assert len(flow) == 1
    flow.answered(key(0), 60 * MS)  # too late to tell
    assert len(flow) == 1
    flow.lost(60 * MS)
    assert len(flow) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["sent", "answered", "dropped", "lost", "ask"]),
            st.integers(0, 30),
            st.integers(-200, 800),
        ),
        max_size=80,
    )
)
def test_whatever_happens_chances_are_chances_and_memory_is_bounded(
    events: list[tuple[str, int, int]],
) -> None:
    flow, now = made(), 0
    sent_at: list[int] = []
    for what, n, step_ms in events:
        now = max(0, now + max(0, step_ms) * MS)
        if what == "sent":
            flow.sent(key(n), (CLOUD, SPLIT)[n % 2], now)
            sent_at.append(now)
        elif what == "answered":
            flow.answered(key(n), now)
        elif what == "dropped":
            flow.dropped(key(n), now)
        elif what == "lost":
            flow.lost(now)
        for route in (CLOUD, SPLIT):
            chance = flow.chance(route, 150, now)
            assert math.isnan(chance) or 0.0 <= chance <= 1.0
            expected = flow.expected(route, now)
            assert math.isnan(expected.mean_ms) or expected.mean_ms >= 0
        recent = sum(sent_at[-1] - at <= FORGET_MS * MS for at in sent_at)
        assert len(flow) <= recent
