"""The thread of the head: each frame ends in features or in a failure."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from mastra_ros.inference import HeadJob, HeadWorker
from mastra_ros.types import Features, Frame, FrameKey

DEADLINE_S = 20.0


def job(number: int, deadline_ns: int = 0) -> HeadJob:
    frame = Frame(FrameKey("main", number), np.zeros((8, 8), np.uint8), "mono8")
    return HeadJob(frame, deadline_ns)


class Gate:
    """A head that waits at a gate, and fails on frames of an odd number."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()

    def run(self, frame: Frame) -> Features:
        self.entered.release()
        assert self.open.wait(DEADLINE_S)
        if frame.key.stamp_ns % 2:
            raise ValueError("an odd frame")
        return Features(frame.key, "cut", np.zeros((1, 2), np.int8), 1.0, 0, 8, 8)


class Running:
    """A worker before a gate; `ends` holds what became of frames: the stamp and the failure."""

    def __init__(self, queue_frames_max: int = 16) -> None:
        self.gate = Gate()
        self.ends: queue.Queue[tuple[int, str]] = queue.Queue()
        self.worker = HeadWorker(
            self.gate,
            lambda features, job, run_ms: self.ends.put((features.key.stamp_ns, "")),
            lambda key, reason: self.ends.put((key.stamp_ns, reason)),
            queue_frames_max=queue_frames_max,
        )

    def next(self) -> tuple[int, str]:
        return self.ends.get(timeout=DEADLINE_S)


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running(queue_frames_max=2)
    yield made
    made.gate.open.set()
    made.worker.stop()


def test_frames_are_answered_in_order_and_a_failure_costs_no_other(running: Running) -> None:
    running.gate.open.set()
    for number in (2, 3, 4):
        running.worker.submit(job(number))
        assert running.next() == (number, "ValueError: an odd frame" if number == 3 else "")


def test_a_frame_that_is_crowded_out_is_reported_at_once(running: Running) -> None:
    running.worker.submit(job(2))
    assert running.gate.entered.acquire(timeout=DEADLINE_S)
    for number in (4, 6, 8):
        running.worker.submit(job(number))
    assert running.next() == (4, "overloaded: newer frames came")
    running.gate.open.set()
    assert [running.next()[0] for _ in range(3)] == [2, 6, 8]


def test_a_frame_whose_deadline_has_passed_is_not_run(running: Running) -> None:
    running.gate.open.set()
    running.worker.submit(job(2, deadline_ns=time.monotonic_ns() - 1))
    running.worker.submit(job(4, deadline_ns=time.monotonic_ns() + 60 * 10**9))
    assert running.next() == (4, "")
    assert running.ends.empty()


def test_after_stop_nothing_is_taken_in(running: Running) -> None:
    running.gate.open.set()
    running.worker.stop()
    running.worker.submit(job(2))
    running.worker.stop()
    assert running.ends.empty()


def test_what_is_left_until_the_deadline_is_never_negative() -> None:
    assert job(2).left_ms(5) == 0.0
    assert job(2, deadline_ns=3_000_000).left_ms(1_000_000) == 2.0
    assert job(2, deadline_ns=3_000_000).left_ms(4_000_000) == 0.0
