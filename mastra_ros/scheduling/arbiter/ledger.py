"""What the arbiter tells of frames when they are done, and whose answer is still owed."""

from __future__ import annotations

import math
from collections import deque

from mastra_ros.scheduling.arbiter.frames import Pending, Stage, Waiting
from mastra_ros.scheduling.estimates.clock import NS_PER_MS
from mastra_ros.scheduling.estimates.outcome import Outcome
from mastra_ros.types import FrameKey, Result, Route

KEPT = 1024
"""Outcomes that nobody took are dropped, oldest first, beyond so many."""


class Ledger:
    """Makes the outcomes of frames, and keeps those that were hedged until the cloud was due.

    A hedged frame may be finished by the local model before the cloud is due. Whether the cloud
    then answers in time still counts: or a dead gateway would never be noticed.
    """

    def __init__(self) -> None:
        self._outcomes: deque[Outcome] = deque(maxlen=KEPT)
        self.owed: dict[FrameKey, Pending] = {}

    def take(self) -> list[Outcome]:
        """The outcomes since the last call."""
        taken = list(self._outcomes)
        self._outcomes.clear()
        return taken

    def finished(self, frame: Pending, result: Result, now: int, deadline_ns: int) -> None:
        """A frame has its final result, or (local) its provisional one."""
        away = frame.route is not Route.LOCAL
        own = away == (result.origin is not Route.LOCAL) and not result.error
        if away:
            own = own and now <= frame.limit_ns
            hedged = frame.stage is Stage.AWAY and result.origin is Route.LOCAL
            if not own and hedged and now < frame.limit_ns:
                # How the cloud does is told when it has answered, or is due.
                self.owed[frame.key] = frame
        self._outcomes.append(
            Outcome(
                frame.key,
                frame.route,
                now,
                took_ms=(now - frame.dispatched_ns) / NS_PER_MS if own else math.nan,
                limit_ms=math.nan if frame.key in self.owed else self._limit_ms(frame),
                in_time=not result.error and now - frame.captured_ns <= deadline_ns,
                age_ms=math.nan if result.error else (now - frame.captured_ns) / NS_PER_MS,
                inference_ms=result.inference_ms,
                confidence=frame.sure,
            )
        )

    def refined(self, frame: Pending, now: int, agreed: float, inference_ms: float) -> None:
        """The cloud has answered for a frame that was escalated."""
        self._side(frame, Route.CLOUD, now, frame.entered_ns, agreed, inference_ms)

    def superseded(self, waiting: Waiting, now: int) -> None:
        """A frame found no room on its route until a newer one came."""
        self._outcomes.append(Outcome(waiting.key, waiting.decision.route, now))

    def settle(self, key: FrameKey, now: int, *, error: bool) -> None:
        """The cloud has answered for this frame, if that was still owed."""
        frame = self.owed.pop(key, None)
        if frame is not None and not error:
            self._side(frame, frame.route, now, frame.dispatched_ns)

    def overdue(self, now: int) -> list[Pending]:
        """Frames done by hedging that the cloud has not answered when it was due; once."""
        late = [frame for frame in self.owed.values() if frame.limit_ns <= now]
        for frame in late:
            del self.owed[frame.key]
        return late

    def missed(self, frame: Pending, now: int) -> None:
        """The cloud did not answer in time for a frame that is done already."""
        limit_ms = self._limit_ms(frame)
        self._outcomes.append(Outcome(frame.key, frame.route, now, limit_ms=limit_ms, counts=False))

    def _side(
        self,
        frame: Pending,
        route: Route,
        now: int,
        since: int,
        agreed: float = math.nan,
        inference_ms: float = math.nan,
    ) -> None:
        self._outcomes.append(
            Outcome(
                frame.key,
                route,
                now,
                took_ms=(now - since) / NS_PER_MS,
                limit_ms=self._limit_ms(frame),
                in_time=True,
                inference_ms=inference_ms,
                confidence=frame.sure,
                agreement=agreed,
                counts=False,
            )
        )

    @staticmethod
    def _limit_ms(frame: Pending) -> float:
        """What the route was given; NaN where it is excused, as the link failed."""
        if frame.excused or not frame.limit_ns:
            return math.nan
        return (frame.limit_ns - frame.dispatched_ns) / NS_PER_MS
