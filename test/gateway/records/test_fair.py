"""No device keeps the others waiting by sending much."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from mastra_ros.gateway.records.fair import FairQueue


def test_one_of_each_device_goes_before_the_next_of_one_that_brings_much() -> None:
    queue = FairQueue[tuple[str, int]]()
    for number in range(1000):
        queue.put("greedy", ("greedy", number))
    for device in ("a", "b"):
        for number in range(2):
            queue.put(device, (device, number))
    taken, ended = queue.take(7, 0.0)
    assert taken == [
        *(("greedy", 0), ("a", 0), ("b", 0)),
        *(("greedy", 1), ("a", 1), ("b", 1)),
        ("greedy", 2),
    ]
    assert not ended


@given(st.lists(st.sampled_from("abc")), st.integers(1, 5))
def test_all_come_once_and_those_of_a_device_in_their_order(devices: list[str], most: int) -> None:
    queue = FairQueue[tuple[str, int]]()
    for number, device in enumerate(devices):
        queue.put(device, (device, number))
    queue.close()
    told: list[tuple[str, int]] = []
    ended = False
    while not ended:
        some, ended = queue.take(most, 0.0)
        told += some
    assert sorted(number for _, number in told) == list(range(len(devices)))
    for device in "abc":
        own = [number for whose, number in told if whose == device]
        assert own == sorted(own)


def test_who_waits_hears_of_what_comes_and_of_the_end() -> None:
    queue = FairQueue[int]()
    heard: list[int] = []

    def take_all() -> None:
        ended = False
        while not ended:
            some, ended = queue.take(10, 60.0)
            heard.extend(some)

    thread = threading.Thread(target=take_all)
    thread.start()
    for number in range(100):
        queue.put("a", number)
    queue.close()
    thread.join(60.0)
    assert heard == list(range(100))
    assert queue.take(10, 0.0) == ([], True)
