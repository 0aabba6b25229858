"""When the local model has to start on a frame that is away, so as not to be late itself.

The idea is that of hedged requests (Dean and Barroso, The Tail at Scale, 2013), with the
device's own model as the second server.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from mastra_ros.scheduling.arbiter.frames import Pending, Stage
from mastra_ros.scheduling.arbiter.outlook import Outlook
from mastra_ros.scheduling.estimates.clock import NS_PER_MS, to_ns
from mastra_ros.scheduling.estimates.forecast import Prediction


@dataclass(frozen=True)
class Expectation:
    """What the forecast says of the next frame; NaN while unknown, and then nothing is hedged."""

    local_ms: float = math.nan  # in the local model, and hardly more: with one deviation
    away_ms: float = math.nan  # from dispatch to the cloud's answer, and hardly more
    frame_bytes: float = math.nan
    usual_ms: float = math.nan  # of the answers that came in time hardly one took longer
    local_deviation_ms: float = 0.0

    @property
    def local(self) -> Prediction:
        """Time in the local model."""
        return Prediction(self.local_ms - self.local_deviation_ms, self.local_deviation_ms)


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


def quiet_ms(expected: Expectation, deadline_ms: float) -> float | None:
    """How long a gateway that owes answers may give none; None while nothing is known.

    As long as its answers usually take, and a third of the deadline at the least. Answers that
    came too late or not at all count for nothing here: after an outage the next one would be
    noticed late. Before answers are known, half a deadline, and half as long again as forecast.
    """
    if math.isfinite(expected.usual_ms):
        return max(deadline_ms / 3, expected.usual_ms)
    if math.isfinite(expected.away_ms):
        return max(deadline_ms / 2, 1.5 * expected.away_ms)
    return None


def doubted_ns(
    pending: Collection[Pending], answered_ns: int, quiet: float | None, outlook: Outlook, now: int
) -> int | None:
    """When a gateway that owes answers and gives none is doubted; None: it owes none.

    `quiet` (see `quiet_ms`) after its last answer; or twice that after a frame was sent that it
    still owes, as on a link whose rate collapsed a few answers trickle in yet. Heartbeats do not
    count: there they still pass. Not before the newest may have the local model.
    """
    away = [f for f in pending if _unhedged(f)]
    if not away or quiet is None:
        return None
    quiet_ns, oldest_ns = to_ns(min(quiet, 1e9)), min(f.dispatched_ns for f in away)
    silent_ns = min(max(answered_ns, oldest_ns) + quiet_ns, oldest_ns + 2 * quiet_ns)
    return max(silent_ns, outlook.spared_until_ns(newest(away), now) or 0)


def next_hedges(pending: Collection[Pending], doubted_ns: int | None) -> list[int]:
    """The moments at which `due_hedges` may have something."""
    moments = [f.hedge_ns for f in pending if f.hedge_ns is not None]
    return moments if doubted_ns is None else [*moments, doubted_ns]


def due_hedges(pending: Collection[Pending], doubted_ns: int | None, now: int) -> list[Pending]:
    """The frames that are away and for which the local model has to start now.

    While the gateway is doubted, since `doubted_ns`, the newest frame that is away starts as well,
    so that a stream sees the present again before the first deadline passes.
    """
    due = [f for f in pending if f.hedge_ns is not None and f.hedge_ns <= now]
    if doubted_ns is not None and doubted_ns <= now:
        latest = newest(pending)
        due += [] if latest in due else [latest]
    return due


def newest(pending: Collection[Pending]) -> Pending:
    """The newest frame that is with the cloud alone; there must be one."""
    return max(filter(_unhedged, pending), key=lambda f: f.captured_ns)


def _unhedged(frame: Pending) -> bool:
    """Whether the frame is with the cloud alone."""
    return frame.stage is Stage.AWAY and not frame.hedged
