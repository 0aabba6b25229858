"""The arbiter's rules, one by one: late answers, escalation and the spool."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mastra_ros.scheduling.arbiter.actions import Dispatch
from mastra_ros.types import Route

MS = 1_000_000
LOCAL, CLOUD, SPLIT = Route.LOCAL, Route.CLOUD, Route.SPLIT


def test_late_answers_are_published_apart_once_for_each_origin(make: Any) -> None:
    bench = make()
    bench.frame(1, CLOUD, 0)
    bench.tick(150)
    bench.local(1, 170)
    assert len(bench.late(bench.cloud(1, 300))) == 1
    assert bench.cloud(1, 400) == []
    assert bench.local(1, 500) == []
    assert bench.counters.late == 1
    assert bench.counters.results == 1


def test_answers_for_unknown_frames_are_late_and_late_errors_are_no_news(make: Any) -> None:
    bench = make()
    (answer,) = bench.late(bench.cloud(77, 10))
    assert answer.late
    assert not answer.final
    assert math.isnan(answer.age_ms)
    assert bench.cloud(77, 11) == []
    assert bench.cloud(78, 12, error="gone") == []


def test_a_frame_announced_twice_counts_once(make: Any) -> None:
    bench = make(local_in_flight=1)
    bench.frame(1, LOCAL, 0)
    bench.frame(2, LOCAL, 1)
    assert bench.frame(1, LOCAL, 2) == []
    assert bench.frame(2, LOCAL, 3) == []
    bench.local(1, 4)
    assert bench.frame(1, LOCAL, 5) == []
    assert bench.counters.frames == 2
    assert bench.counters.duplicates == 3


def test_an_unsure_local_result_is_provisional_and_refined(make: Any) -> None:
    bench = make(escalate_below=0.5, escalate_deadline_ms=400.0)
    bench.frame(1, LOCAL, 0)
    events = bench.local(1, 20, score=0.4)
    (provisional,) = bench.published(events)
    assert not provisional.final
    dispatch = events[-1]
    assert dispatch == Dispatch(
        bench.key(1), CLOUD, "escalated: confidence 0.40", deadline_ns=420 * MS, hard=True
    )
    (final,) = bench.published(bench.cloud(1, 100, score=0.9))
    assert final.final
    assert final.origin is CLOUD
    assert final.reason == "escalated"
    assert bench.counters.refined == bench.counters.escalated == 1


@pytest.mark.parametrize("how", ["deadline", "failure", "link lost"])
def test_without_a_refinement_the_local_result_becomes_final(make: Any, how: str) -> None:
    bench = make()
    bench.frame(1, LOCAL, 0)
    bench.local(1, 20, score=0.4)
    if how == "deadline":
        events = bench.tick(420)
    elif how == "failure":
        events = bench.cloud(1, 50, error="refused")
    else:
        events = bench.arbiter.link_lost(50 * MS)
    (final,) = bench.published(events)
    assert final.final
    assert final.origin is LOCAL
    assert final.reason.startswith("because (not refined")
    assert final.detections.scores[0] == pytest.approx(0.4)
    assert len(bench.late(bench.cloud(1, 500))) == 1
    assert bench.local(1, 501, score=0.4) == []


def test_escalation_is_bounded_and_can_be_turned_off(make: Any) -> None:
    bench = make(escalate_in_flight=1)
    bench.frame(1, LOCAL, 0)
    bench.frame(2, LOCAL, 1)
    assert bench.sent(bench.local(1, 20, score=0.1)) == [(1, CLOUD)]
    (final,) = bench.published(bench.local(2, 21, score=0.1))
    assert final.final
    off = make(escalate_below=0.0)
    off.frame(1, LOCAL, 0)
    assert bench.published(off.local(1, 20, score=0.0))[0].final


def test_confident_results_and_frames_that_were_away_are_not_escalated(make: Any) -> None:
    bench = make()
    bench.frame(1, LOCAL, 0)
    assert bench.published(bench.local(1, 20, score=0.5))[0].final
    bench.frame(2, CLOUD, 30)
    bench.tick(180)
    assert bench.published(bench.local(2, 200, score=0.1))[0].final


def test_during_an_outage_frames_are_archived_at_the_interval(make: Any) -> None:
    bench = make(archive_interval_ms=500.0)
    spooled: list[tuple[int, bool]] = []
    for n in range(20):
        events = bench.frame(n, LOCAL, 100 * n, up=False, wanted=CLOUD)
        assert bench.sent(events) == [(n, LOCAL)]
        spooled += bench.archived(events)
        bench.local(n, 100 * n + 10)
    assert spooled == [(0, False), (5, False), (10, False), (15, False)]
    assert bench.counters.archived == 4


def test_unsure_frames_are_archived_as_hard_and_none_twice(make: Any) -> None:
    bench = make(archive_interval_ms=500.0)
    bench.frame(1, LOCAL, 0, up=False, wanted=CLOUD)
    assert bench.archived(bench.local(1, 10, score=0.2)) == []
    bench.frame(2, LOCAL, 100, up=False, wanted=CLOUD)
    events = bench.local(2, 110, score=0.2)
    assert bench.archived(events) == [(2, True)]
    assert bench.published(events)[0].final
    bench.frame(3, LOCAL, 200, up=False, wanted=CLOUD)
    assert bench.archived(bench.local(3, 210, score=0.2)) == []


def test_nothing_is_archived_while_the_link_is_up_or_without_a_gateway(make: Any) -> None:
    bench = make()
    assert bench.archived(bench.frame(1, LOCAL, 0, wanted=CLOUD)) == []
    bench.local(1, 10)
    bench.arbiter.archive.open = False
    assert bench.archived(bench.frame(2, CLOUD, 20, up=False)) == []
    assert bench.archived(bench.local(2, 30, score=0.1)) == []
