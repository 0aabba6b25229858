"""A frame that passes two gates of one process is searched once, and fails closed for both."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import numpy as np
import pytest

from mastra_ros.config import PrivacyConfig, build
from mastra_ros.errors import ModelError, Withheld
from mastra_ros.privacy import Gate, Opened, SharedSearches

from .conftest import FakeFinder, face, frame_of, noise, noisy_frame


def gates_of(
    *finders: FakeFinder, shared: SharedSearches | None = None, **values: Any
) -> list[Gate]:
    """A gate for each finder, as nodes of one process have them."""
    shared = SharedSearches() if shared is None else shared
    config = build(PrivacyConfig, values)

    def gate(finder: FakeFinder) -> Gate:
        return Gate(config, lambda _: Opened([finder]), shared=shared)

    return [gate(finder) for finder in finders]


def counts(gate: Gate) -> tuple[int, int, int]:
    return gate.cleared, gate.masked, gate.withheld


def test_a_frame_that_is_sent_and_drawn_is_searched_once_and_counted_for_each_use() -> None:
    ours, theirs = FakeFinder(face(40, 40)), FakeFinder(face(40, 40))
    sending, drawing = gates_of(ours, theirs)
    sent = sending.clear(noisy_frame())
    drawn = drawing.clear(noisy_frame(), late=True)
    assert (len(ours.seen), len(theirs.seen)) == (1, 0)
    assert np.array_equal(sent.image, drawn.image)
    assert counts(sending) == counts(drawing) == (1, 1, 0)


def test_the_task_s_objects_are_searched_once_too() -> None:
    shared, config = SharedSearches(), build(PrivacyConfig, {"mode": "whole"})
    objects = [FakeFinder(face(20, 20)), FakeFinder(face(20, 20))]
    pictures = []
    for one in objects:
        gate = Gate(config, lambda _, one=one: Opened((), one), shared=shared)
        pictures.append(gate.clear(noisy_frame()).image)
    assert [len(one.seen) for one in objects] == [1, 0]
    assert np.array_equal(*pictures)


def test_who_asks_while_the_search_is_under_way_waits_for_it(freed: threading.Event) -> None:
    ours, theirs = FakeFinder(), FakeFinder()
    began = threading.Event()

    def slow(_: Any) -> Any:
        began.set()
        assert freed.wait(30.0)
        return [face(40, 40)]

    ours.answer = slow
    gates = gates_of(ours, theirs, timeout_ms=60_000.0)
    made: list[int] = []
    threads = [
        threading.Thread(target=lambda g=gate: made.append(g.clear(noisy_frame()).masked))
        for gate in gates
    ]
    threads[0].start()
    assert began.wait(30.0)
    threads[1].start()
    threads[1].join(0.1)
    assert threads[1].is_alive()
    freed.set()
    for thread in threads:
        thread.join(30.0)
    assert made == [1, 1]
    assert (len(ours.seen), len(theirs.seen)) == (1, 0)


@pytest.mark.parametrize("error", [RuntimeError("broken"), ModelError("bad"), SystemExit(3)])
def test_a_search_that_fails_gives_nothing_to_who_began_it_and_to_who_waits(
    freed: threading.Event, error: BaseException
) -> None:
    ours, theirs = FakeFinder(), FakeFinder()
    began = threading.Event()

    def failing(_: Any) -> Any:
        began.set()
        assert freed.wait(30.0)
        raise error

    ours.answer = failing
    gates = gates_of(ours, theirs, timeout_ms=60_000.0)
    refused: list[str] = []

    def clear(gate: Gate) -> None:
        with pytest.raises(Withheld) as told:
            gate.clear(noisy_frame())
        refused.append(str(told.value))

    threads = [threading.Thread(target=clear, args=(gate,)) for gate in gates]
    threads[0].start()
    assert began.wait(30.0)
    threads[1].start()
    threads[1].join(0.1)
    freed.set()
    for thread in threads:
        thread.join(30.0)
    assert len(refused) == 2
    assert [counts(gate) for gate in gates] == [(0, 0, 1)] * 2
    assert not theirs.seen  # it has waited, and begun no search of its own
    assert gates[1].clear(noisy_frame()).masked == 0  # a failure is not remembered
    assert len(theirs.seen) == 1


def test_who_waits_longer_than_it_may_holds_its_frame_back(freed: threading.Event) -> None:
    ours, theirs = FakeFinder(), FakeFinder()
    began = threading.Event()

    def hanging(_: Any) -> Any:
        began.set()
        return [] if freed.wait(30.0) else None

    ours.answer = hanging
    shared = SharedSearches()
    (sending,) = gates_of(ours, shared=shared, timeout_ms=60_000.0)
    (drawing,) = gates_of(theirs, shared=shared, timeout_ms=30.0)
    thread = threading.Thread(target=sending.clear, args=(noisy_frame(),))
    thread.start()
    assert began.wait(30.0)
    with pytest.raises(Withheld, match="longer than 30 ms"):
        drawing.clear(noisy_frame())
    freed.set()
    thread.join(30.0)
    assert counts(drawing) == (0, 0, 1)
    assert sending.cleared == 1


def test_other_pixels_another_size_or_another_frame_are_searched_anew() -> None:
    ours, theirs = FakeFinder(), FakeFinder()
    sending, drawing = gates_of(ours, theirs)
    image = noise((120, 160, 3))
    sending.clear(frame_of(image))
    other = image.copy()
    other[3, 5, 1] ^= 1
    for frame in (
        frame_of(other),
        frame_of(image.reshape(160, 120, 3)),
        frame_of(image, stamp_ns=2),
        dataclasses.replace(frame_of(image), encoding="rgb8"),
    ):
        before = len(theirs.seen)
        drawing.clear(frame)
        assert len(theirs.seen) == before + 1


def test_an_image_that_was_written_to_since_is_searched_anew() -> None:
    ours, theirs = FakeFinder(), FakeFinder()
    sending, drawing = gates_of(ours, theirs)
    frame = frame_of(noise((120, 160, 3)))
    sending.clear(frame)
    frame.image[...] = 0
    drawing.clear(frame)
    assert len(theirs.seen) == 1


def test_gates_of_other_promises_share_nothing() -> None:
    shared = SharedSearches()
    ours, theirs, named = FakeFinder(), FakeFinder(), FakeFinder(name="another")
    (sending,) = gates_of(ours, shared=shared)
    (stricter,) = gates_of(theirs, shared=shared, score_min=0.1)
    (other,) = gates_of(named, shared=shared)
    for gate in (sending, stricter, other):
        gate.clear(noisy_frame())
    assert [len(finder.seen) for finder in (ours, theirs, named)] == [1, 1, 1]


def test_a_gate_that_is_tried_again_searches_itself_whatever_others_have_found() -> None:
    ours, theirs = FakeFinder(), FakeFinder()
    broken, working = gates_of(ours, theirs)

    def failing(_: Any) -> Any:
        raise RuntimeError("broken")

    ours.answer = failing
    for stamp_ns in (1, 2, 3):
        with pytest.raises(Withheld):
            broken.clear(noisy_frame(stamp_ns=stamp_ns))
    working.clear(noisy_frame(stamp_ns=4))
    broken.probe(noisy_frame(stamp_ns=4))
    assert "broken" in broken.shut
    ours.answer = lambda _: []
    broken.probe(noisy_frame(stamp_ns=4))
    assert not broken.shut


def test_only_the_newest_searches_are_remembered() -> None:
    shared = SharedSearches(kept=3)
    ours, theirs = FakeFinder(), FakeFinder()
    sending, drawing = gates_of(ours, theirs, shared=shared)
    for stamp_ns in range(1, 6):
        sending.clear(noisy_frame(stamp_ns=stamp_ns))
    assert len(shared) == 3
    drawing.clear(noisy_frame(stamp_ns=5))
    assert not theirs.seen
    drawing.clear(noisy_frame(stamp_ns=1))
    assert len(theirs.seen) == 1


def test_what_one_gate_does_with_the_answer_does_not_reach_the_other() -> None:
    sending, drawing = gates_of(FakeFinder(face(40, 40)), FakeFinder(), hold_frames=3)
    sending.clear(noisy_frame(stamp_ns=1))
    assert drawing.clear(noisy_frame(stamp_ns=2), late=True).masked == 0  # its own search, no track
    assert drawing.clear(noisy_frame(stamp_ns=1), late=True).masked == 1
