"""What the arbiter remembers of frames: those in progress, the one that waits, those finished.

    announced ── no room ──▶ waiting ── a newer one comes ──▶ superseded
        │                       │ room
        ├── away ─────▶ AWAY ── answer, or a hedge's ─────────────────▶ finished
        │                └ deadline, failure, link lost ──▶ QUEUED
        │                                                    │ room
        └── local ────────────────────────────────────────▶ LOCAL ── answer, time-out ──▶ finished
                                                             └ unsure ──▶ ESCALATED ──▶ finished

A waiting frame is not admitted: it may be superseded. From AWAY or LOCAL on, a frame always
reaches finished.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum

from mastra_ros.types import Decision, FrameKey, Result, Route


class Stage(Enum):
    """Where an admitted frame is."""

    AWAY = "away"  # sent to the gateway, due at its deadline
    QUEUED = "queued"  # fell back, waits for the local model, due at the local time-out
    LOCAL = "local"  # with the local model, due at the local time-out
    ESCALATED = "escalated"  # has a provisional result, due at the escalation deadline


@dataclass
class Pending:
    """One admitted frame. All times are steady time in ns."""

    key: FrameKey
    captured_ns: int
    reason: str
    stage: Stage
    due_ns: int
    entered_ns: int  # when it came into this stage
    route: Route = Route.LOCAL  # that it was given to first
    dispatched_ns: int = 0  # to that route
    limit_ns: int = 0  # when the answer from away is due; 0: it was not sent away first
    hedge_ns: int | None = None  # when the local model starts too, unless the cloud has answered
    hedged: bool = False  # the local model has started too
    failed: Result | None = None  # what the local model said when it failed at a hedge
    excused: bool = False  # the link failed: this tells nothing of how long the cloud takes
    sure: float = math.nan  # confidence of the local result
    sent: bool = False  # it was sent away, so the gateway or the spool may have it
    archived: bool = False
    local: Result | None = None  # the provisional result of an escalated frame


@dataclass(frozen=True)
class Waiting:
    """The frame in the newest-wins slot."""

    key: FrameKey
    captured_ns: int
    decision: Decision
    wanted: Route  # what the policy would have chosen with a good link
    since_ns: int

    def due_ns(self, now: int, deadline_ns: int) -> int:
        """When it falls back if it is sent away now; the bounds are explained in `arbiter`."""
        in_time_ns = max(self.captured_ns + deadline_ns, now + deadline_ns // 2)
        return min(now + deadline_ns, in_time_ns)


@dataclass
class Counters:
    """Counted since start.

    frames = results + superseded + elsewhere + those in progress + the one that waits.
    """

    frames: int = 0  # announced, each key once
    superseded: int = 0  # replaced by a newer frame before they were admitted
    results: int = 0  # final results
    by_origin: dict[Route, int] = field(default_factory=dict)
    provisional: int = 0
    escalated: int = 0
    refined: int = 0  # of the escalated, those whose final result is the cloud's
    fallbacks: int = 0  # frames sent away that were then given to the local model
    missed: int = 0  # frames sent away and not answered by their own deadline
    hedged: int = 0  # frames sent away that the local model was given before the deadline
    spilled: int = 0  # frames sent away as the local model could not answer in time
    late: int = 0
    failed: int = 0  # final results with an error
    archived: int = 0
    elsewhere: int = 0  # another node gave the final result, see Arbiter.answered
    duplicates: int = 0  # frames announced again


@dataclass
class _Finished:
    captured_ns: int | None
    origins: set[Route]


class FinishedFrames:
    """The frames last finished, bounded, to know late and second answers by."""

    def __init__(self, kept: int = 2048) -> None:
        self._kept = kept
        self._frames: OrderedDict[FrameKey, _Finished] = OrderedDict()

    def __contains__(self, key: object) -> bool:
        """Whether the frame got its final result not long ago (late answers alone don't count)."""
        return key in self._frames and self._frames[key].captured_ns is not None  # type: ignore[index]

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, key: FrameKey, captured_ns: int, origin: Route | None) -> None:
        """Remember a frame that has its final result from `origin`, None for an error."""
        entry = self._frames.setdefault(key, _Finished(None, set()))
        entry.captured_ns = captured_ns
        self._note(key, entry, origin)

    def answer(self, key: FrameKey, origin: Route) -> tuple[bool, int | None]:
        """Note a late answer: whether it is the first of this origin, and the time of capture."""
        entry = self._frames.setdefault(key, _Finished(None, set()))
        first = origin not in entry.origins
        self._note(key, entry, origin)
        return first, entry.captured_ns

    def _note(self, key: FrameKey, entry: _Finished, origin: Route | None) -> None:
        if origin is not None:
            entry.origins.add(origin)
        self._frames.move_to_end(key)
        while len(self._frames) > self._kept:
            self._frames.popitem(last=False)
