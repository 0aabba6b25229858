"""The ring of recent frames and the requests that wait for theirs."""

from __future__ import annotations

import numpy as np

from mastra_ros.nodes.ring import FrameRing
from mastra_ros.types import Frame, FrameKey


def frame(stamp_ns: int) -> Frame:
    return Frame(FrameKey("main", stamp_ns), np.zeros((2, 2), np.uint8), "mono8")


def test_a_frame_that_is_here_answers_a_request_at_once() -> None:
    ring: FrameRing[str] = FrameRing(3)
    kept = frame(1)
    assert ring.put(kept) == []
    assert ring.request(kept.key, "infer") is kept
    assert ring.put(frame(1)) == [], "a request that was answered does not wait as well"


def test_a_request_that_comes_before_its_frame_is_given_back_with_it() -> None:
    ring: FrameRing[str] = FrameRing(3)
    assert ring.request(FrameKey("main", 7), "encode") is None
    assert ring.request(FrameKey("main", 7), "archive") is None
    assert ring.put(frame(6)) == []
    assert ring.put(frame(7)) == ["encode", "archive"]
    assert ring.put(frame(7)) == []


def test_only_the_newest_frames_are_kept() -> None:
    ring: FrameRing[str] = FrameRing(2)
    for stamp_ns in (1, 2, 3):
        ring.put(frame(stamp_ns))
    assert len(ring) == 2
    assert ring.get(FrameKey("main", 1)) is None
    assert ring.get(FrameKey("main", 3)) is not None


def test_requests_for_frames_that_never_come_do_not_pile_up() -> None:
    ring: FrameRing[str] = FrameRing(2)
    for stamp_ns in range(1, 6):
        ring.request(FrameKey("main", stamp_ns), f"r{stamp_ns}")
    assert ring.put(frame(1)) == []
    assert ring.put(frame(5)) == ["r5"]


def test_clearing_forgets_frames_and_requests() -> None:
    ring: FrameRing[str] = FrameRing(2)
    ring.put(frame(1))
    ring.request(FrameKey("main", 2), "x")
    ring.clear()
    assert len(ring) == 0
    assert ring.put(frame(2)) == []
