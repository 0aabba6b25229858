"""The thread that infers: one Result for every frame, whatever becomes of it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from mastra_ros.inference import Bundle, Detector, InferenceWorker
from mastra_ros.types import Detections, Frame, FrameKey, Result, Route

DEADLINE_S = 20.0


def frame(number: int) -> Frame:
    return Frame(FrameKey("test", number), np.zeros((8, 8), np.uint8), "mono8")


class Gate:
    """A detector that waits at a gate, and fails on frames of an odd number from 100."""

    labels = ("a",)
    model = "gate"
    version = "1"

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()

    def detect(self, frame: Frame) -> Detections:
        self.entered.release()
        assert self.open.wait(DEADLINE_S)
        if frame.key.stamp_ns >= 100 and frame.key.stamp_ns % 2:
            raise ValueError("an odd frame")
        return Detections.empty(self.labels)


class Running:
    """A worker before a gate, and what it delivered."""

    def __init__(self, queue_frames_max: int = 64) -> None:
        self.gate = Gate()
        self.results: queue.Queue[Result] = queue.Queue()
        self.worker = InferenceWorker(
            self.gate, self.results.put, queue_frames_max=queue_frames_max
        )

    def next(self) -> Result:
        return self.results.get(timeout=DEADLINE_S)


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running()
    yield made
    made.gate.open.set()
    made.worker.stop()


def test_a_result_carries_what_the_arbiter_needs(bundle: Bundle, spotted: Frame) -> None:
    results: queue.Queue[Result] = queue.Queue()
    detector = Detector.open(bundle, "local")
    worker = InferenceWorker(detector, results.put)
    worker.submit(spotted, "the link is down")
    result = results.get(timeout=DEADLINE_S)
    worker.stop()
    assert result.key == spotted.key
    assert result.origin is Route.LOCAL
    assert (result.model, result.model_version) == (detector.model, detector.version)
    assert result.reason == "the link is down"
    assert result.final
    assert result.error == ""
    assert result.inference_ms > 0
    assert len(result.detections) == 2


def test_frames_are_answered_in_their_order(running: Running) -> None:
    for number in range(20):
        running.worker.submit(frame(number), "")
    running.gate.open.set()
    assert [running.next().key.stamp_ns for _ in range(20)] == list(range(20))


def test_a_frame_that_fails_is_answered_with_the_error_and_the_next_is_inferred(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.gate.open.set()
    for number in (101, 102):
        running.worker.submit(frame(number), "why")
    failed, fine = running.next(), running.next()
    assert failed.error == "ValueError: an odd frame"
    assert (failed.key.stamp_ns, failed.reason, failed.model) == (101, "why", "gate")
    assert len(failed.detections) == 0
    assert fine.error == ""
    assert "inference of" in caplog.text


def test_a_model_that_fails_with_every_frame_is_told_once(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.gate.open.set()
    for number in range(101, 161, 2):
        running.worker.submit(frame(number), "")
        assert running.next().error
    assert len([r for r in caplog.records if "inference of" in r.getMessage()]) == 1


def test_a_full_queue_gives_up_its_oldest_frame_and_says_so() -> None:
    running = Running(queue_frames_max=2)
    running.worker.submit(frame(0), "")
    assert running.gate.entered.acquire(timeout=DEADLINE_S)
    for number in (1, 2, 3, 4):
        running.worker.submit(frame(number), "")
    assert running.worker.queue_frames == 2
    running.gate.open.set()
    results = [running.next() for _ in range(5)]
    running.worker.stop()
    assert [r.key.stamp_ns for r in results] == [0, 1, 2, 3, 4]
    assert [r.error[:10] for r in results] == ["", "overloaded", "overloaded", "", ""]


def test_stopping_ends_after_the_frame_in_work_and_forgets_the_rest(running: Running) -> None:
    for number in range(3):
        running.worker.submit(frame(number), "")
    assert running.gate.entered.acquire(timeout=DEADLINE_S)
    stopper = threading.Thread(target=running.worker.stop)
    stopper.start()
    while running.worker.queue_frames:
        assert stopper.is_alive()
    running.gate.open.set()
    stopper.join(DEADLINE_S)
    assert not stopper.is_alive()
    assert running.next().key.stamp_ns == 0
    assert running.results.empty()
    running.worker.submit(frame(9), "")
    running.worker.stop()
    assert running.worker.queue_frames == 0


def test_a_receiver_that_fails_does_not_stop_the_worker(caplog: pytest.LogCaptureFixture) -> None:
    results: queue.Queue[Result] = queue.Queue()

    def receive(result: Result) -> None:
        if result.key.stamp_ns == 1:
            raise RuntimeError("the receiver is broken")
        results.put(result)

    gate = Gate()
    gate.open.set()
    worker = InferenceWorker(gate, receive)
    worker.submit(frame(1), "")
    worker.submit(frame(2), "")
    assert results.get(timeout=DEADLINE_S).key.stamp_ns == 2
    worker.stop()
    assert "the receiver of the result" in caplog.text


def test_the_worker_may_be_stopped_from_its_own_callback() -> None:
    done = threading.Event()
    gate = Gate()
    gate.open.set()

    def receive(result: Result) -> None:
        worker.stop()
        done.set()

    worker = InferenceWorker(gate, receive)
    worker.submit(frame(1), "")
    assert done.wait(DEADLINE_S)
    worker.stop()


def test_stopping_waits_no_longer_than_it_is_told_for_a_model_that_does_not_answer() -> None:
    """A process whose model hung could not be ended but by SIGKILL."""
    asked, free = threading.Event(), threading.Event()

    class Hanging:
        labels, model, version = ("open",), "hanging", "1"

        def detect(self, frame: Frame) -> Detections:
            asked.set()
            assert free.wait(60.0)
            return Detections.empty()

    worker = InferenceWorker(Hanging(), lambda result: None)
    worker.submit(Frame(FrameKey("main", 1), np.zeros((4, 4), np.uint8), "mono8"), "")
    assert asked.wait(60.0)
    assert not worker.stop(0.05)
    free.set()
    assert worker.stop(60.0)
