"""The mark beside the spool, and the clock by which records age."""

from __future__ import annotations

from pathlib import Path

import pytest

from mastra_ros.bridge.spool_clock import JUMP_S, STEADY_S, SpoolClock
from mastra_ros.bridge.spool_mark import Held, Mark


def test_a_mark_is_read_back_after_reopening(tmp_path: Path) -> None:
    mark = Mark(tmp_path / "spool.sqlite")
    assert mark.read() is None
    mark.write(Held(150, 69))
    mark.close()
    again = Mark(tmp_path / "spool.sqlite")
    assert again.read() == Held(150, 69)
    again.close()


@pytest.mark.parametrize("byte", range(24))
def test_a_damaged_mark_says_nothing(tmp_path: Path, byte: int) -> None:
    mark = Mark(tmp_path / "spool.sqlite")
    mark.write(Held(150, 69))
    data = bytearray(mark.path.read_bytes())
    data[byte] ^= 1
    mark.path.write_bytes(data)
    assert mark.read() is None
    mark.close()


class Clocks:
    def __init__(self) -> None:
        self.wall_s = 1.7e9
        self.monotonic_s = 100.0
        self.clock = SpoolClock(lambda: self.wall_s, lambda: self.monotonic_s)

    def wait(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds


def test_time_that_passes_is_no_jump_and_makes_a_clock_steady() -> None:
    clocks = Clocks()
    assert not clocks.clock.steady
    for _ in range(60):
        clocks.wait(STEADY_S / 60)
        clocks.wall_s += JUMP_S / 10  # slewed by NTP, say
        assert clocks.clock.jump_s() == 0.0
    assert clocks.clock.steady


@pytest.mark.parametrize("jump_s", [1e6, -1e6, 3600.0, -30.0])
def test_a_clock_that_is_set_has_jumped_once_and_is_not_believed(jump_s: float) -> None:
    clocks = Clocks()
    clocks.wait(2 * STEADY_S)
    clocks.wall_s += jump_s
    clocks.wait(1.0)
    assert clocks.clock.jump_s() == pytest.approx(jump_s)
    assert not clocks.clock.steady
    assert clocks.clock.jump_s() == 0.0
    clocks.wait(STEADY_S)
    assert clocks.clock.steady
