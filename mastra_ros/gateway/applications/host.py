"""Feeds one application with committed records, and keeps what it answers.

The application runs in a process of its own: whatever it does there, its gateway goes on. One that
raises loses the answers to that record; one that does not answer in time is killed, shown the
records one by one, and no longer shown the one that it hangs on. A thread an application.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from ...artefacts import Artefact
from ...errors import MastraError, StoreError
from ...protocol.checks import printable
from ...protocol.records import RecordItem
from ..records.store import KeptRecord, Query, RecordBatch, RecordStore
from .feeds import Feed, Item, pack, unpack
from .keeping import Keeping
from .process import ApplicationProcess, Failed
from .questions import Answer, Questions
from .registry import sees

logger = logging.getLogger(__name__)

PAGE_RECORDS = 256
PAUSE_MIN_S, PAUSE_MAX_S = 0.2, 30.0
"""Pauses before it is started again."""
SNAPSHOT_RECORDS = 2000
SNAPSHOT_S = 30.0
"""A snapshot is taken after so many records, and where there were any, after so long."""
SNAPSHOT_BYTES_MAX = 2**26
EPOCH = "0" * 16
"""Of an application's own records: their numbers follow from the records that they answer."""
ANSWERS_BITS = 8


class ApplicationHost:
    """One application. `on_outcome(name, outcome, count)` counts what becomes of its records."""

    def __init__(
        self,
        name: str,
        records: RecordStore,
        keeping: Keeping,
        *,
        on_outcome: Callable[[str, str, int], None] = lambda *_: None,
        silence_s: float = 10.0,
        snapshot_records: int = SNAPSHOT_RECORDS,
        feeds: Sequence[Feed] = (),
        close_set: Callable[..., None] = lambda *_: None,
        descriptor: int = -1,
    ) -> None:
        """close_set(device, stream, name): forgets the frames of a set.

        descriptor: of the file by which live frames are handed over; closed by who made it.
        """
        self._descriptor = descriptor
        self._feeds = feeds
        self._close_set = close_set
        self._closing: list[list[str]] = []  # sets, once a snapshot is kept
        self._fed = 0  # of feeds, since the last snapshot
        known = sees(name)
        for feed in feeds:
            feed.wanted = None if known is None else feed.name in known
        self.name = name
        self.place = 0  # of the last record that it has taken in
        self._records = records
        self._keeping = keeping
        self._on_outcome = on_outcome
        self._silence_s = silence_s
        self._snapshot_records = snapshot_records
        self._snapshot_place = 0
        self._snapshot_s = time.monotonic()
        self._process: ApplicationProcess | None = None
        self._kinds: frozenset[str] | None = None
        self._suspected = (0, -1)  # places of the records at which it failed
        self._said = ""
        self._questions = Questions(name)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"application-{name}", daemon=True)

    def start(self) -> None:
        """Begin, from the last snapshot on."""
        self.place, packed = self._keeping.snapshot(self.name)
        self._restore_places(packed)
        self._snapshot_place = self.place
        self._records.keep_from(self.name, self._snapshot_place + 1)
        self._thread.start()

    def wake(self, what: str = "records") -> None:
        """There are new records, or what a feed of this name gives."""
        if what == "records" or any(f.name == what and f.wanted is not False for f in self._feeds):
            self._wake.set()

    def ask(self, message: dict[str, Any], *, begin: bool = True) -> Answer:
        """Ask its process; the future fails with StoreError.

        begin: whether a process is begun for it, which is shown all that is committed first; else
        the answer is an empty one where there is none.
        """
        answer = self._questions.ask(message, begin=begin)
        self._wake.set()
        if self._stopping.is_set():
            self._questions.refuse("the gateway stops")
        return answer

    def close(self) -> None:
        """End its process, after a last snapshot where it answers."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()

    # -- in the thread ---------------------------------------------------------------------

    def _run(self) -> None:
        pause_s = PAUSE_MIN_S
        while not self._stopping.is_set():
            self._wake.clear()
            trouble = self._step()
            if trouble is None:
                pause_s = PAUSE_MIN_S
                continue
            if trouble:
                self._kill()
                self._on_outcome(self.name, "restarted", 1)
                self._say(f"{trouble}; it is started again in {pause_s:g} s")
                self._stopping.wait(pause_s)
                pause_s = min(2 * pause_s, PAUSE_MAX_S)
            else:
                self._wake.wait(1.0)
        if self._process is not None:
            with contextlib.suppress(Failed, MastraError):
                self._take_snapshot()
        self._kill()
        self._questions.refuse("the gateway stops")

    def _serve(self, message: dict[str, Any], begin: bool) -> dict[str, Any]:
        """Ask it something; what it says rests on all that was there, unless ever more comes."""
        if self._process is None and begin:
            self._begin()
        until_s = time.monotonic() + self._silence_s
        while self._process is not None and time.monotonic() < until_s and self._feed_lasting():
            pass
        return {} if self._process is None else self._ask(message)

    def _feed_lasting(self) -> bool:
        """Show it what is kept. Of live frames nobody who asks waits for the last one."""
        lasting = (feed for feed in self._feeds if feed.lasting)
        return any([self._feed(), *(self._feed_from(feed) for feed in lasting)])

    def _feed_all(self) -> bool:
        live = (feed for feed in self._feeds if not feed.lasting)
        return any([self._feed_lasting(), *(self._feed_from(feed) for feed in live)])

    def _step(self) -> str | None:
        """Show it some records, and ask it what is asked.

        None where there was anything, empty where not, else the trouble.
        """
        try:
            fed = self._feed_all()
            return None if self._questions.answer(self._serve) or fed else ""
        except (Failed, MastraError) as error:
            return str(error)
        except Exception as error:  # a fault of ours must not end the thread
            logger.exception("application %s: failed", self.name)
            return f"{type(error).__name__}: {error}"

    def _begin(self) -> None:
        """Start the process, and bring it to where the last snapshot was."""
        self._process = ApplicationProcess(self.name, self._silence_s, self._descriptor)
        said = self._process.begun()
        kinds = said.get("kinds")
        self._kinds = None if kinds is None else frozenset(map(str, kinds))
        for feed in self._feeds:
            feed.told(said)
        self.place, packed = self._keeping.snapshot(self.name)
        snapshot = self._restore_places(packed)
        self._fed = 0
        self._snapshot_place = self.place
        if snapshot:
            error = self._ask({"restore": snapshot}).get("error")
            if error:
                raise Failed(f"it does not take its snapshot: {error!s:.300}")

    def _feed(self) -> bool:
        """Show it the next records; whether there were any. Its process begins with the first."""
        page = self._next_page()
        if page and self._process is None:
            self._begin()
            page = self._next_page()
        passed_over = self._keeping.passed_over(self.name) if page else set()
        shown = [kept for kept in page if self._wants(kept) and kept.id not in passed_over]
        if shown:
            try:
                answer = self._ask({"records": [_seen(kept) for kept in shown]})
            except Failed as error:
                self._suspect(shown, error)
                raise
            self._keep(answer, {kept.id: kept.committed_s for kept in shown}, EPOCH)
            self._on_outcome(self.name, "seen", len(shown))
        if page:
            self.place = page[-1].id
        grown = self.place - self._snapshot_place
        waited = time.monotonic() - self._snapshot_s > SNAPSHOT_S
        if grown >= self._snapshot_records or (grown and waited and self._process is not None):
            self._take_snapshot()
        return bool(page)

    def _feed_from(self, feed: Feed) -> bool:
        """Show it what comes next of a feed; whether there was any."""
        if feed.next_items() and self._process is None:
            self._begin()
        items = feed.next_items()
        skipped = self._keeping.passed_over(self.name) if items else set()
        shown = [item for item in items if -item.id not in skipped]
        if shown:
            try:
                answer = self._ask({feed.name: [feed.as_seen(item) for item in shown]})
            except Failed as error:
                self._suspect_of(feed, shown, error)
                raise
            except StoreError as error:
                if feed.lasting:
                    raise
                self._say(str(error))
                self._on_outcome(self.name, "left_out", len(shown))
                feed.place = items[-1].id
                return True
            self._keep(answer, {item.id: item.committed_s for item in shown}, feed.epoch)
            self._on_outcome(self.name, "seen", len(shown))
        if items:
            feed.place = items[-1].id
            self._fed += len(items)
            waited = time.monotonic() - self._snapshot_s > SNAPSHOT_S
            if self._closing or waited or self._fed >= self._snapshot_records:
                self._take_snapshot()
        return bool(items)

    def _suspect_of(self, feed: Feed, shown: Sequence[Item], error: Failed) -> None:
        place = feed.suspect(shown)
        if place is not None:
            if feed.lasting:
                self._keeping.pass_over(self.name, -place)
            else:
                feed.place = place
            self._on_outcome(self.name, "passed_over", 1)
            text = "application %s: %s at %d of %s, which it is not shown again"
            logger.error(text, self.name, error, place, feed.name)

    def _restore_places(self, packed: bytes) -> bytes:
        """Take over the places of feeds in a snapshot; the snapshot itself."""
        places, self._closing, snapshot = unpack(packed)
        for feed in self._feeds:
            feed.place = places.get(feed.name, 0)
        self._close_sets()
        return snapshot

    def _close_sets(self) -> None:
        closing, self._closing = self._closing, []
        for name in closing:
            self._close_set(*name)

    def _next_page(self) -> list[KeptRecord]:
        """The records that come next; those at which it failed before, one by one."""
        page = self._records.page(Query(), self.place, PAGE_RECORDS)
        first, last = self._suspected
        if not page or page[-1].id < first or page[0].id > last:
            return page
        return [kept for kept in page if kept.id < first] or page[:1]

    def _wants(self, kept: KeptRecord) -> bool:
        if kept.name.device == f"@{self.name}":
            return False  # its own
        return self._kinds is None or kept.name.kind in self._kinds

    def _suspect(self, shown: list[KeptRecord], error: Failed) -> None:
        """It failed at one of these: show it fewer, and leave out the one when it is alone."""
        if len(shown) > 1:
            self._suspected = (shown[0].id, shown[-1].id)
            return
        name = shown[0].name
        self._keeping.pass_over(self.name, shown[0].id)
        self._on_outcome(self.name, "passed_over", 1)
        logger.error(
            "application %s: %s at record %s/%s %s %d, which it is not shown again",
            *(self.name, error, name.device, name.stream, name.kind, name.seq),
        )

    def _keep(self, answer: dict[str, Any], shown: dict[int, float], epoch: str) -> None:
        """Keep its answers to what is `shown`: places, and when they were committed."""
        for place, text in answer.get("failures", ()):
            self._on_outcome(self.name, "failed", 1)
            self._say(f"record {place} has no answer: {printable(str(text))[:300]}")
        for place, number, said in answer.get("answers", ()):
            if place not in shown:
                raise Failed(f"it answers record {place!r:.40}, which it was not shown")
            if "artefact" in said:
                made = Artefact(**said["artefact"])
                if self._keeping.put(self.name, made, self._order(place, shown), number):
                    self._on_outcome(self.name, "artefact", 1)
            elif "close" in said:
                self._closing.append([str(part) for part in said["close"]])
            else:
                self._commit(epoch, place, number, *said["record"])

    def _order(self, place: int, shown: dict[int, float]) -> int:
        """By which the newest artefact is told: places, or times where there are feeds as well."""
        several = any(feed.wanted for feed in self._feeds)
        return int(shown[place] * 1e6) if several else place

    def _commit(
        self, epoch: str, place: int, number: int, kind: str, stamp: int, body: bytes, of: str
    ) -> None:
        """Keep a record of its own; given again it is the same one."""
        seq = (place << ANSWERS_BITS) + number + 1
        item = RecordItem.from_list([kind, seq, 0, stamp, body])
        batch = RecordBatch(f"@{self.name}", of, epoch, (item,))
        done = self._records.commit(batch).result()
        if done.new:
            self._on_outcome(self.name, "record", 1)
        for no in done.refused:
            self._say(f"its answer to record {place} is refused: {no.code} {no.text}")

    def _take_snapshot(self) -> None:
        self._snapshot_s = time.monotonic()
        if self.place == self._snapshot_place and not self._fed:
            return
        answer = self._ask({"snapshot": None})
        snapshot = answer.get("snapshot")
        if not isinstance(snapshot, bytes) or len(snapshot) > SNAPSHOT_BYTES_MAX:
            self._say(f"no snapshot: {answer.get('error', 'expected bytes, up to 64 MiB')!s:.300}")
            return
        packed = pack(snapshot, self._feeds, self._closing)
        self._keeping.save_snapshot(self.name, self.place, packed)
        self._close_sets()
        self._fed = 0
        self._snapshot_place = self.place
        self._records.keep_from(self.name, self.place + 1)

    # -- its process -----------------------------------------------------------------------

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._process is not None
        return self._process.ask(message)

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def _say(self, text: str) -> None:
        """The same trouble is said once."""
        kind = "".join(c for c in text if not c.isdigit())
        if kind != self._said:
            self._said = kind
            logger.error("application %s: %s", self.name, text)


def _seen(kept: KeptRecord) -> list[Any]:
    """As in `SeenRecord`."""
    name = kept.name
    seen = [kept.id, name.device, name.stream, name.kind]
    return [*seen, kept.stamp_ns, kept.committed_s, kept.body]
