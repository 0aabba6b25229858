"""The offline optimum: what a scheduler could reach that knows the whole future.

What is optimised: the number of frames with a result within the deadline of their capture.

The schedule may give each frame to the cloud, to the device, or to nobody, knowing the trace,
the load and all times that chance has drawn. It is a relaxation, so no policy can exceed
it:

- A frame is in time by the cloud if it were alone there: encoded at capture, uploaded as a delta
  on a link that carries nothing else, inferred and answered at once. Queues, heartbeats,
  connecting and whole pictures cost nothing.
- Frames that the cloud cannot answer in time compete for the device, one after the other and never
  interrupted. Since all have the same deadline after capture, an order by capture is best, and
  which of them to take is found exactly by dynamic programming: f[k], the earliest moment at
  which the device is free after k hits. O(n^2) steps.

It optimises nothing else: money and accuracy are not weighed, and it knows no split model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .world import Scenario


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


def cloud_ms(scenario: Scenario) -> NDArray[np.float64]:
    """From capture to the cloud's answer, for each frame as if it were alone on its way: (n,)."""
    trace, draws = scenario.trace, scenario.draws()
    ages = np.empty(scenario.frames)
    for index in range(scenario.frames):
        captured = scenario.captured_ms(index)
        now = captured + float(draws.encode_ms[index])
        now = trace.up.done_ms(float(draws.delta_bytes[index]), now)
        now += trace.way_ms(now)
        now += float(draws.cloud_ms[index]) * scenario.gateway_load.slowdown(now)
        now = trace.down.done_ms(scenario.stages.result_bytes, now)
        ages[index] = now + trace.way_ms(now) - captured
    return ages


def local_hits(released: NDArray[np.float64], takes: NDArray[np.float64], deadline: float) -> int:
    """Most jobs that one machine can end within `deadline` of their release; times in order."""
    free = np.full(len(released) + 1, np.inf)
    free[0] = -np.inf
    most = 0
    for release, take in zip(released, takes, strict=True):
        done = np.maximum(free[: most + 1], release) + take
        better = np.where(done <= release + deadline, done, np.inf)
        free[1 : most + 2] = np.minimum(free[1 : most + 2], better)
        most += bool(np.isfinite(free[most + 1]))
    return most


def offline_optimum(scenario: Scenario) -> Optimum:
    """The optimum of a scenario."""
    by_cloud = cloud_ms(scenario) <= scenario.deadline_ms
    left = np.flatnonzero(~by_cloud)
    released = np.asarray([scenario.captured_ms(int(i)) for i in left], np.float64)
    slowdowns = np.asarray([scenario.load.slowdown(ms) for ms in released], np.float64)
    takes = scenario.draws().local_ms[left] * slowdowns
    local = local_hits(released, takes, scenario.deadline_ms)
    return Optimum(scenario.frames, int(by_cloud.sum()), local)
