"""Which records of a batch may be taken, by what is committed already: pure.

Of each source (device, stream, kind and epoch) the number of the last record is known. The next one
is taken if nothing can be missing between; what comes again is acknowledged and counts no second
time. A device whose numbers begin anew without a new epoch (a copy of its disk was played back) is
found out by the content, as long as the old record is kept. From then on no more is taken of that
source: its device begins a new epoch with all of that kind that waits, and what is under way of the
old one would count twice.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from ...protocol.records import EPOCH_TAKEN, GAP, Committed, NotTaken, RecordItem


class Source(NamedTuple):
    """Whose records are counted together."""

    device: str
    stream: str
    kind: str
    epoch: str


@dataclass
class Sorted:
    """What becomes of a batch: all of it is decided before anything is written."""

    taken: list[tuple[Source, RecordItem]] = field(default_factory=list)
    committed: dict[str, int] = field(default_factory=dict)  # kind: number
    refused: list[NotTaken] = field(default_factory=list)
    duplicates: int = 0
    missing: int = 0  # numbers that will never come
    last: dict[Source, int] = field(default_factory=dict)  # of each source that has grown
    closed: set[Source] = field(default_factory=set)  # whose next records must be of a new epoch

    def answers(self) -> tuple[list[Committed], list[NotTaken]]:
        """What the device is told."""
        return [Committed(kind, seq) for kind, seq in self.committed.items()], self.refused


def sort_out(
    device: str,
    stream: str,
    epoch: str,
    items: Iterable[RecordItem],
    *,
    last_of: Callable[[Source], int | None],
    kept: Callable[[Source, int], tuple[int, bytes] | None],
    closed: Container[Source],
    may_begin: Callable[[Source, int], str],
) -> Sorted:
    """Decide on each record of a batch.

    last_of(source): the number of the last one committed; None where there is none. kept: stamp in
    ns and body of a record, as long as it is kept. closed: sources that take no more. may_begin:
    why a new source is refused, beside so many that this batch has begun already; empty where it
    is not.
    """
    out = Sorted()
    stopped: set[str] = set()  # kinds of which one was refused
    begun = 0
    for item in items:
        if item.kind in stopped:
            continue
        source = Source(device, stream, item.kind, epoch)
        last = out.last.get(source, last_of(source))
        refusal = None
        if last is None:
            why = may_begin(source, begun)
            begun += not why
            if why:
                refusal = NotTaken(item.kind, item.seq, "overloaded", why)
        elif item.seq <= last:
            before = kept(source, item.seq)
            if before is not None and before != (item.stamp_ns, item.body):
                text = f"number {item.seq} of this epoch had another record"
                refusal = NotTaken(item.kind, item.seq, EPOCH_TAKEN, text, last)
                out.closed.add(source)
        elif source in closed or source in out.closed:
            text = "an older number of this epoch had another record"
            refusal = NotTaken(item.kind, item.seq, EPOCH_TAKEN, text, last)
        elif item.after > last:
            text = f"expected the record after {last}, got one after {item.after}"
            refusal = NotTaken(item.kind, item.seq, GAP, text, last)
        if refusal is not None:
            stopped.add(item.kind)
            out.refused.append(refusal)
            continue
        if last is not None and item.seq <= last:
            out.duplicates += 1
        else:
            out.taken.append((source, item))
            out.missing += 0 if last is None else item.seq - last - 1
            out.last[source] = item.seq
        out.committed[item.kind] = max(out.committed.get(item.kind, 0), item.seq)
    return out
