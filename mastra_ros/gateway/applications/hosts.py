"""All applications of a gateway: started, woken and stopped together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from ..records.store import RecordStore
from ..sets import SqliteSetStore
from .feeds import FRAMES, LIVE, RESULTS, Feed, Item
from .host import ApplicationHost
from .keeping import Keeping
from .live import HandOver, LiveFrames, LiveTap
from .questions import Answer
from .registry import check_names, sees
from .seeing import frame_as_sent, result_as_sent


class ResultReader(Protocol):
    """Committed results."""

    def since(self, after: int, most: int) -> Sequence[Item]:
        """Those behind a place."""

    def close(self) -> None:
        """Nobody reads any more."""


class Applications:
    """The applications of these names; ConfigError where one is not known."""

    def __init__(
        self,
        names: Sequence[str],
        keeping: Keeping,
        *,
        on_outcome: Callable[[str, str, int], None] = lambda *_: None,
        silence_s: float = 10.0,
        sets: SqliteSetStore | None = None,
        results: ResultReader | None = None,
        live_bytes_max: int = 2**26,
    ) -> None:
        """sets and results are shown to those that want to see them, and closed with this.

        live_bytes_max: of the live frames that wait for one of them.
        """
        self.live = LiveTap()
        self._live_bytes_max = live_bytes_max
        self._hand_overs: list[HandOver] = []
        self.sets = sets
        self._results = results
        check_names(names)
        self.keeping = keeping
        self._names = tuple(names)
        self._on_outcome = on_outcome
        self._silence_s = silence_s
        self._hosts: list[ApplicationHost] = []

    def start(self, records: RecordStore) -> None:
        """Show them what is committed, and what will be."""
        live: list[tuple[Feed, LiveFrames]] = []
        for name in self._names:
            feeds, descriptor = self._feeds(), -1
            frames = self._live_frames(name)
            if frames is not None:
                hand_over = HandOver()
                self._hand_overs.append(hand_over)
                descriptor = hand_over.descriptor
                feed = Feed(
                    *(LIVE, frames.page, hand_over.as_seen, "0" * 15 + "3"),
                    lasting=False,
                    on_told=frames.told,
                )
                feeds.append(feed)
                live.append((feed, frames))
            host = ApplicationHost(
                *(name, records, self.keeping),
                on_outcome=self._on_outcome,
                silence_s=self._silence_s,
                feeds=feeds,
                close_set=self.sets.close_set if self.sets is not None else lambda *_: None,
                descriptor=descriptor,
            )
            if frames is not None:
                frames.on_new = partial(host.wake, LIVE)
            self._hosts.append(host)
        self.live = LiveTap(live)
        for host in self._hosts:
            host.start()

    def _live_frames(self, name: str) -> LiveFrames | None:
        """Where live frames wait for one of them; None where it wants none."""
        known = sees(name)
        if known is not None and LIVE not in known:
            return None
        return LiveFrames(
            self._live_bytes_max,
            on_left_out=lambda frames: self._on_outcome(name, "left_out", frames),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Of those that run."""
        return self._names

    def ask(self, name: str, message: dict[str, Any], *, begin: bool = True) -> Answer:
        """Ask the process of one of them; the future fails with StoreError."""
        return self._hosts[self._names.index(name)].ask(message, begin=begin)

    def _feeds(self) -> list[Feed]:
        feeds = []
        if self.sets is not None:
            feeds.append(Feed(FRAMES, self.sets.committed, frame_as_sent, "0" * 15 + "1"))
        if self._results is not None:
            feeds.append(Feed(RESULTS, self._results.since, result_as_sent, "0" * 15 + "2"))
        return feeds

    def wake(self, _: int = 0, what: str = "records") -> None:
        """There are new records, frames of sets, or results."""
        for host in self._hosts:
            host.wake(what)

    def close(self) -> None:
        """End them all, and what is kept of them."""
        for host in self._hosts:
            host.close()
        for hand_over in self._hand_overs:
            hand_over.close()
        self.keeping.close()
        if self.sets is not None:
            self.sets.close()
        if self._results is not None:
            self._results.close()
