"""Which frames a node answers itself, since nobody rules on them."""

from __future__ import annotations

import numpy as np

from mastra_ros.inference.open_frames import (
    SECOND,
    SILENCE_NS,
    TICK_NS,
    UNFINISHED_NS,
    UNRULED_NS,
    Forsaken,
    OpenFrames,
)
from mastra_ros.types import Detections, Frame, FrameKey, Result, Route


def frame(number: int) -> Frame:
    key = FrameKey("main", 0, f"a-{number}")
    return Frame(key, np.zeros((2, 2), np.uint8), "mono8")


def result(number: int) -> Result:
    return Result(frame(number).key, Route.LOCAL, Detections.empty())


class World:
    """Open frames, and a scheduler that lives or does not."""

    def __init__(self, capacity: int = 64) -> None:
        self.open = OpenFrames(capacity)
        self.now_ns = 100 * SECOND
        self.forsaken: list[str] = []

    def announce(self, *numbers: int) -> None:
        for number in numbers:
            self.note(self.open.announced(frame(number), self.now_ns))

    def rule(self, *numbers: int, deadline_ms: float = 0.0) -> None:
        for number in numbers:
            self.note(self.open.ruled(frame(number).key, deadline_ms, self.now_ns))

    def live(self, span_ns: int) -> None:
        """Time goes by with a scheduler that tells its load."""
        for _ in range(span_ns // TICK_NS):
            self.now_ns += TICK_NS
            self.open.heard()
            self.note(self.open.tick(self.now_ns))

    def silence(self, span_ns: int) -> None:
        for _ in range(span_ns // TICK_NS):
            self.now_ns += TICK_NS
            self.note(self.open.tick(self.now_ns))

    def note(self, forsaken: list[Forsaken]) -> None:
        self.forsaken += [one.frame.key.id for one in forsaken]


def test_a_scheduler_that_rules_and_finishes_leaves_nothing_to_do() -> None:
    world = World()
    for number in range(100):
        world.announce(number)
        world.rule(number)
        world.live(TICK_NS)
        world.open.finished(frame(number).key)
    assert (world.forsaken, len(world.open), world.open.alone) == ([], 0, False)


def test_after_a_second_of_silence_all_open_frames_are_answered_here_each_once() -> None:
    world = World()
    world.live(SECOND)
    world.announce(1, 2)
    world.rule(1)
    world.silence(SILENCE_NS - TICK_NS)
    assert world.forsaken == []
    world.silence(TICK_NS)
    assert world.forsaken == ["a-1", "a-2"]
    world.announce(3)
    assert world.forsaken == ["a-1", "a-2", "a-3"], "and new ones at once"
    world.silence(10 * SECOND)
    assert len(world.forsaken) == 3


def test_what_the_local_model_had_seen_is_not_inferred_again() -> None:
    world = World()
    world.announce(1)
    world.rule(1)
    seen = result(1)
    assert world.open.inferred(seen) is None, "it goes to the scheduler"
    world.silence(SILENCE_NS - TICK_NS)
    (one,) = world.open.tick(world.now_ns + TICK_NS)
    assert one.result is seen


def test_a_scheduler_that_is_heard_again_takes_new_frames_and_not_those_answered_here() -> None:
    world = World()
    world.silence(SILENCE_NS)
    world.announce(1)
    assert world.open.inferred(result(1)) is not None
    world.open.heard()
    world.announce(2)
    world.rule(2)
    assert world.forsaken == ["a-1"]
    assert world.open.was_answered(frame(1).key)
    assert world.open.inferred(result(2)) is None


def test_a_frame_that_a_scheduler_missed_is_answered_as_soon_as_a_later_one_is_ruled_on() -> None:
    world = World()
    world.live(SECOND)
    world.announce(1, 2, 3)
    world.rule(1, 3)
    assert world.forsaken == ["a-2"]
    world.rule(2)  # late news change nothing
    assert world.forsaken == ["a-2"]


def test_a_frame_that_nobody_rules_on_while_a_scheduler_lives_ends_within_seconds() -> None:
    world = World()
    world.announce(1)
    world.live(UNRULED_NS - TICK_NS)
    assert world.forsaken == []
    world.live(TICK_NS)
    assert world.forsaken == ["a-1"]


def test_a_frame_ruled_on_by_a_scheduler_that_began_anew_ends_after_its_deadline() -> None:
    world = World()
    world.announce(1, 2)
    world.rule(1, deadline_ms=5000.0)
    world.rule(2)
    world.live(UNFINISHED_NS)
    assert world.forsaken == ["a-2"]
    world.live(5 * SECOND)
    assert world.forsaken == ["a-2", "a-1"]


def test_a_scheduler_that_comes_back_for_a_frame_in_work_gets_the_answer() -> None:
    world = World()
    world.silence(SILENCE_NS)
    world.announce(1)
    assert world.open.hand_back(frame(1).key)
    assert world.open.inferred(result(1)) is None
    assert not world.open.hand_back(frame(1).key)


def test_a_pause_of_our_own_is_no_silence_of_the_scheduler() -> None:
    world = World()
    world.live(SECOND)
    world.announce(1)
    world.now_ns += UNRULED_NS // 2  # this process did not run
    world.note(world.open.tick(world.now_ns))
    assert (world.forsaken, world.open.alone) == ([], False)


def test_more_open_frames_than_are_kept_are_answered_and_never_forgotten() -> None:
    world = World(capacity=3)
    world.announce(*range(5))
    assert world.forsaken == ["a-0", "a-1"]
    world.rule(2)
    world.announce(5)
    assert len(world.forsaken) == 2, "the scheduler has ruled on the oldest, and will answer"
