"""When the local model has to start on a frame that is away, so as not to be late itself.

The idea is that of hedged requests (Dean and Barroso, The Tail at Scale, 2013), with the
device's own model as the second server.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from mastra_ros.scheduling.clock import NS_PER_MS, to_ns
from mastra_ros.scheduling.frames import Pending, Stage


@dataclass(frozen=True)
class Expectation:
    """What the forecast says of the next frame; NaN while unknown, and then nothing is hedged."""

    local_ms: float = math.nan  # in the local model, and hardly more
    away_ms: float = math.nan  # from dispatch to the cloud's answer, and hardly more
    frame_bytes: float = math.nan


def hedge_at_ns(expected: Expectation, now: int, due_ns: int) -> int | None:
    """When to start the local model if the cloud has not answered by then; None: not at all.

    Where the cloud is expected to be late, as late as is in time for `due_ns`. Where it is not, at
    the moment when it should have answered, but no sooner than that. A device that cannot be in
    time any more starts soon, as its answer will be the first all the same.
    """
    if not math.isfinite(expected.local_ms + expected.away_ms):
        return None
    latest_ns = due_ns - to_ns(expected.local_ms)
    answer_ns = now + to_ns(min(expected.away_ms, 1e9))
    start_ns = latest_ns if answer_ns > due_ns else max(latest_ns, answer_ns)
    start_ns = max(start_ns, now + NS_PER_MS)
    return start_ns if start_ns < due_ns else None


def due_hedges(pending: Collection[Pending], heard_ns: int, now: int) -> list[Pending]:
    """The frames that are away and for which the local model has to start now.

    Where nothing came from the gateway since one of them was sent, it may be dead, and the newest
    frame that is away starts as well: so a stream sees the present again before the deadlines of
    the frames between them have passed.
    """
    due = [f for f in pending if f.hedge_ns is not None and f.hedge_ns <= now]
    if any(heard_ns <= frame.dispatched_ns for frame in due):
        others = [f for f in pending if f.stage is Stage.AWAY and f.hedge_ns is not None]
        newest = max(others, key=lambda f: f.captured_ns, default=due[0])
        due += [] if newest in due else [newest]
    return due
