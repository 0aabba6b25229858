"""A stream whose stamps stand still or jump back is said once, shown while it lasts, and over."""

from __future__ import annotations

import pytest

from mastra_ros.inference.stamps import FORGOTTEN_NS, SETTLED_NS, StampWatch

SECOND = 1_000_000_000
STEP_NS = SECOND // 10


class Stream:
    """Ten frames a second before a watch."""

    def __init__(self) -> None:
        self.watch = StampWatch()
        self.now_ns = 5 * SECOND
        self.said: list[str] = []

    def play(self, *stamps_ns: int) -> None:
        for stamp_ns in stamps_ns:
            self.now_ns += STEP_NS
            said = self.watch.see(stamp_ns, self.now_ns)
            if said:
                self.said.append(said)

    @property
    def trouble(self) -> str:
        return self.watch.trouble(self.now_ns)


def growing(first_ns: int, count: int) -> list[int]:
    return [first_ns + n * STEP_NS for n in range(count)]


def test_growing_stamps_are_no_trouble_wherever_they_begin() -> None:
    for first_ns in (-SECOND, 0, 1, 10**18):
        stream = Stream()
        stream.play(*growing(first_ns, 100))
        assert (stream.said, stream.trouble, stream.watch.repeated) == ([], "", 0)


def test_a_recording_in_a_loop_is_said_once_and_stays_in_view() -> None:
    stream = Stream()
    for _ in range(20):
        stream.play(*growing(10**18, 20))
        if stream.said:
            assert stream.trouble
    assert len(stream.said) == 1
    assert "jump back by 1.900 s" in stream.said[0]
    assert stream.watch.repeated == 19


@pytest.mark.parametrize(("stamp_ns", "words"), [(0, "at 0 (does the driver"), (SECOND, "1.0000")])
def test_stamps_that_stand_still_are_said_once_and_over_when_they_grow(
    stamp_ns: int, words: str
) -> None:
    stream = Stream()
    stream.play(*[stamp_ns] * 50)
    assert len(stream.said) == 1
    assert words in stream.trouble
    stream.play(*growing(2 * SECOND, SETTLED_NS // STEP_NS + 1))
    assert stream.trouble == ""
    stream.play(2 * SECOND)
    assert len(stream.said) == 2, "another episode is said again"


def test_a_single_repeated_stamp_is_seen_in_diagnostics_of_one_a_second() -> None:
    stream = Stream()
    stream.play(SECOND, SECOND)
    for _ in range(int(1.2 * SECOND / STEP_NS)):
        stream.play(stream.now_ns + SECOND)
        assert stream.trouble
    stream.play(*growing(stream.now_ns + 2 * SECOND, 20))
    assert stream.trouble == ""


def test_a_clock_that_was_set_back_is_forgotten_after_a_minute() -> None:
    stream = Stream()
    stream.play(*growing(10**18, 10))
    stream.play(*growing(10**18 - 3600 * SECOND, 300))
    assert "jump back by 3600" in stream.trouble
    stream.play(*growing(10**18 - 3000 * SECOND, FORGOTTEN_NS // STEP_NS))
    assert stream.trouble == ""
    stream.play(*growing(10**18 - 100 * SECOND, 100))
    assert (stream.trouble, len(stream.said)) == ("", 1)


def test_trouble_with_a_stream_that_ended_is_forgotten_too() -> None:
    stream = Stream()
    stream.play(7, 7)
    stream.now_ns += FORGOTTEN_NS
    assert stream.trouble == ""
