"""The compression node: one frame that cannot be encoded, or many at once, cost no other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mastra_ros.msg import Decision, InferenceResult, Packet
from mastra_ros.nodes import convert
from mastra_ros.nodes.compression import WAITING_MAX, CompressionNode
from mastra_ros.nodes.lifecycle import RELIABLE
from mastra_ros.types import LEFT_OUT, Frame, FrameKey, Route


class Bench:
    """The node, and what it publishes."""

    def __init__(self, ros: Any, wait_until: Callable[..., None]) -> None:
        self.node = ros.add(CompressionNode(**ros.options))
        assert self.node.autostart()
        self.packets: list[int] = []
        ros.node("around").create_subscription(
            Packet,
            "packet",
            lambda m: self.packets.append(convert.stamp_from_ros(m.header.stamp)),
            RELIABLE,
        )
        publisher = self.node._packets
        wait_until(lambda: publisher.get_subscription_count() > 0, "a listener")

    def send(self, stamp_ns: int) -> None:
        """A frame, and the decision that it goes away."""
        key = FrameKey("main", stamp_ns)
        self.node._on_frame(Frame(key, np.zeros((48, 64, 3), np.uint8)))
        header = convert.header_to_ros(key, "lens")
        self.node._on_decision(Decision(header=header, route=Route.CLOUD.value))


@pytest.fixture
def bench(ros: Any, wait_until: Callable[..., None]) -> Any:
    made = Bench(ros, wait_until)
    yield made
    made.node.close()


def test_a_fault_of_ours_costs_one_frame(
    bench: Bench, wait_until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = bench.node._encoder
    encode = encoder.encode

    def faulty(frame: Frame, **options: Any) -> Any:
        if frame.key.stamp_ns == 2:
            raise ZeroDivisionError("a fault")
        return encode(frame, **options)

    monkeypatch.setattr(encoder, "encode", faulty)
    for stamp_ns in (1, 2, 3):
        bench.send(stamp_ns)
    wait_until(lambda: bench.packets == [1, 3], "the frames before and after it")


def test_more_frames_than_may_wait_are_refused_and_later_ones_are_encoded(
    bench: Bench, wait_until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = bench.node._encoder
    encode = encoder.encode
    free, begun = threading.Event(), threading.Event()

    def slow(frame: Frame, **options: Any) -> Any:
        begun.set()
        assert free.wait(20.0)
        return encode(frame, **options)

    monkeypatch.setattr(encoder, "encode", slow)
    bench.send(1)
    assert begun.wait(20.0)
    for stamp_ns in range(2, 2 + WAITING_MAX + 4):
        bench.send(stamp_ns)
    assert bench.node.refused == 4
    free.set()
    wait_until(lambda: len(bench.packets) == 1 + WAITING_MAX, "those that waited")
    bench.send(99)
    wait_until(lambda: bench.packets[-1] == 99, "one that came later")


def test_a_frame_that_the_link_does_not_carry_is_left_to_the_device_at_once(
    bench: Bench, ros: Any, wait_until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[str] = []
    ros.node("beside").create_subscription(
        InferenceResult, "cloud_result", lambda m: failed.append(m.error), RELIABLE
    )
    publisher = bench.node._failures
    wait_until(lambda: publisher.get_subscription_count() > 0, "a listener")
    due = iter((True, False, True))
    monkeypatch.setattr(bench.node._encoder, "fit", lambda *_: next(due))
    for stamp_ns in (1, 2, 3):
        bench.send(stamp_ns)
    wait_until(lambda: bench.packets == [1, 3], "those that are due")
    wait_until(lambda: failed == [LEFT_OUT], "the news")
