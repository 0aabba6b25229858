"""A gateway that owes answers is doubted soon, and one that is only uneven is not."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Callable

import pytest

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.arbiter.actions import Action, Dispatch, Publish
from mastra_ros.scheduling.arbiter.hedging import Expectation, quiet_ms
from mastra_ros.scheduling.fake import FakePolicy
from mastra_ros.scheduling.scheduler import Scheduler
from mastra_ros.types import Detections, FrameKey, LinkSample, Result, Route

MS = 1_000_000
LOCAL, CLOUD = Route.LOCAL, Route.CLOUD
FRAME_MS = 1000 / 30
LOCAL_MS = 40.0
FOREVER = math.inf


class Stream:
    """Frames at 30/s to a gateway that takes `answer_ms(now_ms)` for each, in order.

    Heartbeats, each 100 ms, are heard while `heard(now_ms)`.
    """

    def __init__(self, answer_ms: Callable[[float], float]) -> None:
        self.scheduler = Scheduler(SchedulingConfig(dwell_ms=200.0), FakePolicy(CLOUD))
        self.answer_ms = answer_ms
        self.heard: Callable[[float], bool] = lambda ms: True
        self.finals: list[tuple[float, float, Result]] = []  # captured, published, what
        self._now_ms = self._answered_ms = self._free_ms = self._heard_ms = 1000.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def run(self, until_ms: float) -> None:
        start_ms = self._now_ms
        for i in range(int((until_ms - start_ms) / FRAME_MS)):
            self._at(start_ms + i * FRAME_MS, self._frame)
        for i in range(int((until_ms - start_ms) / 100)):
            self._at(start_ms + i * 100, self._heartbeat)
        while True:
            due_ns = self.scheduler.next_deadline_ns()
            due_ms = FOREVER if due_ns is None else due_ns / MS
            next_ms = self._events[0][0] if self._events else FOREVER
            if min(due_ms, next_ms) > until_ms:
                break
            self._now_ms = max(self._now_ms, min(due_ms, next_ms))
            if due_ms <= next_ms:
                self._do(self.scheduler.tick(self._now_ns))
            else:
                heapq.heappop(self._events)[2]()
        self._now_ms = until_ms

    def first_local_ms(self, cut_ms: float) -> float:
        """From the cut to the first result of the device for a frame captured after it."""
        return (
            min(
                at_ms
                for captured_ms, at_ms, result in self.finals
                if captured_ms >= cut_ms and result.origin is LOCAL
            )
            - cut_ms
        )

    @property
    def _now_ns(self) -> int:
        return math.ceil(self._now_ms * MS)

    def _at(self, ms: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._events, (ms, next(self._order), do))

    def _frame(self) -> None:
        self._do(
            self.scheduler.on_frame(FrameKey("main", self._now_ns), self._now_ns, self._now_ns)
        )

    def _heartbeat(self) -> None:
        if self.heard(self._now_ms):
            self._heard_ms = self._now_ms
        sample = LinkSample(
            self._now_ns, True, 5.0, rtt_var_ms=1.0, last_heard_ns=round(self._heard_ms * MS)
        )
        self._do(self.scheduler.on_link(sample, self._now_ns))

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Publish):
                captured_ms = action.result.key.stamp_ns / MS
                self.finals.append((captured_ms, self._now_ms, action.result))
            elif isinstance(action, Dispatch) and not action.archive:
                self._give(action)

    def _give(self, action: Dispatch) -> None:
        result = Result(action.key, action.route, Detections.empty(), inference_ms=LOCAL_MS)
        if action.route is LOCAL:
            self._free_ms = max(self._free_ms, self._now_ms) + LOCAL_MS
            hear = self.scheduler.on_local_result
            self._at(self._free_ms, lambda: self._do(hear(result, self._now_ns)))
        elif (took_ms := self.answer_ms(self._now_ms)) < FOREVER:
            self._answered_ms = max(self._answered_ms, self._now_ms + took_ms)
            away = self.scheduler.on_cloud_result
            self._at(self._answered_ms, lambda: self._do(away(result, self._now_ns)))


def steady(rng: random.Random) -> Callable[[float], float]:
    return lambda _: rng.uniform(15.0, 25.0)


@pytest.mark.parametrize(
    ("expected", "at_ms"),
    [
        (Expectation(40, 30, usual_ms=30), 50),  # a third of the deadline at the least
        (Expectation(40, 300, usual_ms=60), 60),  # misses count for nothing
        (Expectation(40, 30), 75),  # before answers are known
        (Expectation(40, 80), 120),
        (Expectation(40, math.nan), None),
    ],
)
def test_how_long_a_gateway_may_be_quiet(expected: Expectation, at_ms: float | None) -> None:
    assert quiet_ms(expected, 150.0) == at_ms


@pytest.mark.parametrize("seed", range(20))
def test_the_device_takes_over_within_a_third_of_the_deadline_and_its_own_time(seed: int) -> None:
    rng = random.Random(seed)
    cut_ms = rng.uniform(6000, 6100)
    healthy = steady(rng)
    stream = Stream(lambda ms: healthy(ms) if ms < cut_ms - 10 else FOREVER)
    stream.heard = lambda ms: ms < cut_ms
    stream.run(8000)
    assert stream.first_local_ms(cut_ms) < FRAME_MS + 50 + LOCAL_MS + 1


@pytest.mark.parametrize("seed", range(10))
def test_an_outage_does_not_make_the_device_slower_at_the_next(seed: int) -> None:
    rng = random.Random(seed)
    healthy = steady(rng)
    cut_ms = rng.uniform(7000, 7100)

    def answer_ms(ms: float) -> float:
        if ms >= cut_ms:
            return FOREVER
        return 400.0 if 5000 <= ms < 5500 else healthy(ms)  # heard all the while, but late

    stream = Stream(answer_ms)
    stream.heard = lambda ms: ms < cut_ms
    stream.run(cut_ms)
    latest = [result.origin for captured_ms, _, result in stream.finals[-30:]]
    assert set(latest) == {CLOUD}, "it had come back for a second"
    stream.run(10_000)
    assert stream.first_local_ms(cut_ms) < FRAME_MS + 50 + LOCAL_MS + 1


def test_answers_that_trickle_in_do_not_put_the_doubt_off() -> None:
    """A rate that collapsed lets what the gateway had already said through, slowly."""
    cut_ms = 6010.0
    rng = random.Random(1)
    healthy = steady(rng)
    stream = Stream(lambda ms: healthy(ms) if ms < cut_ms - 120 else 130.0 if ms < cut_ms else 1e4)
    stream.run(8000)
    assert stream.first_local_ms(cut_ms) < FRAME_MS + 100 + LOCAL_MS + 1


@pytest.mark.parametrize("jitter_ms", [10.0, 60.0])
def test_a_healthy_link_with_jitter_is_neither_left_nor_often_doubted(jitter_ms: float) -> None:
    rng = random.Random(3)
    stream = Stream(lambda _: 20.0 + rng.uniform(0.0, jitter_ms))
    stream.run(61_000)
    assert [s.to_route for s in stream.scheduler.switches] in ([], [CLOUD])
    counters = stream.scheduler.counters
    assert counters.by_origin.get(LOCAL, 0) < 0.01 * counters.results
    assert counters.hedged < 0.02 * counters.results


def test_a_link_that_grows_slower_is_followed_and_not_doubted_for_long() -> None:
    rng = random.Random(4)
    stream = Stream(lambda ms: rng.uniform(15, 25) + (60.0 if ms > 10_000 else 0.0))
    stream.run(20_000)
    hedged = stream.scheduler.counters.hedged
    assert hedged < 30
    stream.run(40_000)
    assert stream.scheduler.counters.hedged - hedged < 3
    assert stream.scheduler.route is CLOUD
