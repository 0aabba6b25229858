"""What records are under way, and what an answer of the gateway means: pure bookkeeping.

Records go up in batches, a few of them under way at once. Each batch has one answer. After any
refusal nothing more is sent until all batches are answered; then it goes on from the oldest record
that waits, for the gateway takes those of a kind in their order only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...protocol.records import (
    EPOCH_TAKEN,
    FOR_GOOD,
    GAP,
    RecordItem,
    Records,
    RecordsAck,
)

SECOND = 1_000_000_000
PAUSE_NS = SECOND
"""After a refusal that may pass."""
UNANSWERED_NS = 30 * SECOND
"""A batch that is not answered for so long is sent once more."""


@dataclass(frozen=True)
class Stored:
    """A record that waits on this device; `number` is its place in the order of sending."""

    number: int
    epoch: str
    kind: str
    seq: int
    after: int
    stamp_ns: int
    body: bytes


@dataclass(frozen=True)
class Settlement:
    """What becomes of records of one epoch: pairs of kind and number.

    committed: up to this one. dropped: this one, refused for good. rebased: the gateway knows no
    more than up to this one. renumber: what waits of these kinds gets a new epoch.
    """

    epoch: str
    committed: tuple[tuple[str, int], ...] = ()
    dropped: tuple[tuple[str, int], ...] = ()
    rebased: tuple[tuple[str, int], ...] = ()
    renumber: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()  # in words

    def __bool__(self) -> bool:
        return bool(self.committed or self.dropped or self.rebased or self.renumber)


@dataclass(frozen=True)
class _Batch:
    epoch: str
    records: tuple[Stored, ...]
    sent_ns: int


class RecordSending:
    """The records under way in one session. Times are monotonic, in ns."""

    def __init__(self, in_flight_max: int = 2) -> None:
        self._in_flight_max = in_flight_max
        self._in_flight: dict[int, _Batch] = {}
        self._number = 0
        self._rewinding = False
        self._rest_until_ns = 0
        self.position = 0  # number of the last record that was sent

    def may_send(self, now_ns: int) -> bool:
        """Whether another batch may be sent now."""
        self._forget_unanswered(now_ns)
        if self._rewinding and not self._in_flight:
            self._rewinding, self.position = False, 0
        full = len(self._in_flight) >= self._in_flight_max
        return not (full or self._rewinding or now_ns < self._rest_until_ns)

    @property
    def under_way(self) -> int:
        """Batches that are not answered yet."""
        return len(self._in_flight)

    def message(self, stream: str, batch: list[Stored], now_ns: int) -> Records:
        """The message for records that are sent now."""
        number = self.sent(batch, now_ns)
        items = [RecordItem(r.kind, r.seq, r.after, r.stamp_ns, r.body).to_list() for r in batch]
        return Records(number, stream, batch[0].epoch, tuple(items))

    def sent(self, batch: Sequence[Stored], now_ns: int) -> int:
        """Records are sent from now on; the number under which they are answered."""
        self._number += 1
        self._in_flight[self._number] = _Batch(batch[0].epoch, tuple(batch), now_ns)
        self.position = batch[-1].number
        return self._number

    def sent_whole(self, number: int, now_ns: int) -> bool:
        """The last piece of what takes long is sent; False where it was answered before."""
        batch = self._in_flight.get(number)
        if batch is not None:
            self._in_flight[number] = replace(batch, sent_ns=now_ns)
        return batch is not None

    def answered(self, ack: RecordsAck, now_ns: int) -> Settlement | None:
        """What an answer means; None for one to nothing that is under way.

        ProtocolError where it makes no sense. What was not sent is never taken for committed.
        """
        committed, refused = list(ack.all_committed()), list(ack.all_refused())
        batch = self._in_flight.pop(ack.number, None)
        if batch is None:
            return None
        sent: dict[str, list[int]] = {}
        for record in batch.records:
            sent.setdefault(record.kind, []).append(record.seq)
        upto = {one.kind: one.seq for one in committed if one.seq in sent.get(one.kind, ())}
        dropped, rebased, renumber, said = [], [], [], []
        pause = False
        for no in refused:
            said.append(f"{no.kind} {no.seq}: {no.code} {no.text}".rstrip())
            if no.code in FOR_GOOD and no.seq in sent.get(no.kind, ()):
                dropped.append((no.kind, no.seq))
            elif no.code == GAP and no.last >= 0 and no.kind in sent:
                rebased.append((no.kind, no.last))
            elif no.code == EPOCH_TAKEN and no.kind in sent:
                renumber.append(no.kind)
            else:
                pause = True
        whole = all(upto.get(kind) == seqs[-1] for kind, seqs in sent.items())
        if not whole:
            self._rewinding = True
            if pause or not refused:
                self._rest_until_ns = now_ns + PAUSE_NS
        return Settlement(
            *(batch.epoch, tuple(upto.items()), tuple(dropped), tuple(rebased)),
            renumber=tuple(renumber),
            refusals=tuple(said),
        )

    def _forget_unanswered(self, now_ns: int) -> None:
        for number, batch in list(self._in_flight.items()):
            if now_ns - batch.sent_ns > UNANSWERED_NS:
                del self._in_flight[number]
                self._rewinding = True
