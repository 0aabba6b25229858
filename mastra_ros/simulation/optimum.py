"""The offline optimum: what a scheduler could reach that knows the whole future.

What is optimised: the number of frames with a result within the deadline of their capture, and
among schedules with as many, the fewest frames by the cloud.

The schedule may give each frame to the cloud, to the device, or to nobody, knowing the trace, the
load and all times that chance has drawn. Frames share the device, which works on one after the
other and is never interrupted, and the uplink, which carries one after the other. The
deadlines of frames have the order of their captures, so in any schedule two neighbours in the
other order can change places, and both are still in time (Jackson's rule, 1955): an order by
capture is best on both. So one pass over the frames finds the optimum exactly, keeping
of all partial schedules those that no other beats in worth, device and uplink (Pareto pruning).

No policy can exceed it, since what is left out only makes it more generous: heartbeats,
connecting and whole pictures; waiting for the encoder, the gateway and the downlink; losses in
a table of a link; and that a message wastes the rest of its last millisecond. Where a table's round
trip or the gateway's load change while a frame is under way, the least counts. A
split model counts as the best of both ways at each step.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace

from .world import Scenario

TIE = 1e-6
"""Price of a cloud frame, in frames in time: so little that it only breaks ties."""
TOLERANCE_MS = 1e-4
"""The simulation rounds to ns; that must not make a policy better than the optimum."""


@dataclass(frozen=True)
class Optimum:
    """cloud, local: frames answered in time there, in the schedule found."""

    frames: int
    cloud: int
    local: int

    @property
    def hits(self) -> int:
        """Frames answered in time."""
        return self.cloud + self.local

    @property
    def hit_rate(self) -> float:
        """Share of all frames, 0 to 1."""
        return self.hits / self.frames if self.frames else 1.0


@dataclass(frozen=True)
class Job:
    """What one frame needs. Times are ms; places are those of the uplink (`Capacity.place`)."""

    captured_ms: float
    due_ms: float  # on the device
    local_ms: float
    size_bytes: float
    place: float  # the first one that it can have, once it is encoded
    depart_ms: float  # when it must have left, for its answer to be in time


def jobs(scenario: Scenario) -> list[Job]:
    """The frames of a scenario, in the order of their captures."""
    trace, stages, draws = scenario.trace, scenario.stages, scenario.draws()
    found = []
    for index in range(scenario.frames):
        captured = scenario.captured_ms(index)
        due = captured + scenario.deadline_ms + TOLERANCE_MS
        encode_ms, cloud_ms = float(draws.encode_ms[index]), float(draws.cloud_ms[index])
        size = float(draws.delta_bytes[index])
        if stages.split:
            head_ms = stages.head_ms * scenario.load.least_slowdown(captured, due)
            encode_ms, cloud_ms = min(encode_ms, head_ms), min(cloud_ms, stages.tail_ms)
            size = min(size, stages.feature_bytes)
        way_ms = trace.least_way_ms(captured, due)
        depart_ms = trace.down.latest_ms(stages.result_bytes, due - way_ms) - way_ms
        depart_ms -= cloud_ms * scenario.gateway_load.least_slowdown(captured, due)
        local_ms = float(draws.local_ms[index]) * scenario.load.slowdown(captured)
        place = trace.up.place(captured + encode_ms)
        found.append(Job(captured, due, local_ms, size, place, depart_ms))
    return _in_order(found)


def _in_order(found: list[Job]) -> list[Job]:
    """Where encoding or the gateway takes so unlike long that order is lost: be generous."""
    ordered, place, depart_ms = list(found), float("inf"), -float("inf")
    for index in reversed(range(len(found))):
        place = min(place, found[index].place)
        ordered[index] = replace(found[index], place=place)
    for index, job in enumerate(ordered):
        depart_ms = max(depart_ms, job.depart_ms)
        ordered[index] = replace(job, depart_ms=depart_ms)
    return ordered


State = tuple[float, float, float, int, int]
"""A partial schedule: its worth, when the device is free, the next place; frames cloud, local."""


def offline_optimum(scenario: Scenario, cloud_price: float = TIE) -> Optimum:
    """The schedule of the most frames in time, less `cloud_price` for each frame by the cloud.

    A price of 0 to 1; above `TIE` frames in time are given up where they are not worth it.
    """
    todo, up = jobs(scenario), scenario.trace.up
    states: list[State] = [(0.0, 0.0, 0.0, 0, 0)]
    for index, job in enumerate(todo):
        found = []
        for worth, free_ms, place, cloud, local in states:
            found.append((worth, free_ms, place, cloud, local))
            done_ms = max(free_ms, job.captured_ms) + job.local_ms
            if done_ms <= job.due_ms:
                found.append((worth + 1.0, done_ms, place, cloud, local + 1))
            behind, left_ms = up.after(max(place, job.place), job.size_bytes)
            if left_ms <= job.depart_ms:
                found.append((worth + 1.0 - cloud_price, free_ms, behind, cloud + 1, local))
        if index + 1 < len(todo):
            # What is free before the next frame can use it is as good as free then.
            after = todo[index + 1]
            found = [
                (worth, max(free, after.captured_ms), max(place, after.place), cloud, local)
                for worth, free, place, cloud, local in found
            ]
        states = unbeaten(found)
    _, _, _, cloud, local = max(states, default=(0.0, 0.0, 0.0, 0, 0))
    return Optimum(scenario.frames, cloud, local)


def unbeaten(states: list[State]) -> list[State]:
    """Those to which no other is at least equal in worth, device and uplink, each once."""
    kept: list[State] = []
    # A staircase of what is kept: places fall while the times of the device rise.
    times: list[float] = []
    places: list[float] = []
    for state in sorted(states, key=lambda s: (-s[0], s[1], s[2])):
        _, free_ms, place, _, _ = state
        at = bisect_right(times, free_ms)
        if at and places[at - 1] <= place:
            continue
        kept.append(state)
        at = bisect_left(times, free_ms)
        end = at
        while end < len(times) and places[end] >= place:
            end += 1
        times[at:end], places[at:end] = [free_ms], [place]
    return kept
