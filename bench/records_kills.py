"""Records through kills of both sides and cuts of the link, see records.py."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from bench.killed import killed_in_turn
from bench.record_teller import kind_of, tell
from bench.records_sets import CUT_EVERY_S, CUT_S, cuts
from mastra_ros.gateway.records import SqliteRecordStore
from mastra_ros.gateway.records.sqlite_store import FILE_NAME
from mastra_ros.gateway.records.store import Query

PAGE = 5000


def kills(times: int, records: int) -> dict[str, Any]:
    """Kill (SIGKILL) device and gateway in turn, so often in all, while so many records go up."""
    started = time.perf_counter()
    rows = (FILE_NAME, "record", records)
    with killed_in_turn(tell, records, times, cuts().lstrip(","), rows) as state:
        took_s = time.perf_counter() - started
        with closing(SqliteRecordStore(state)) as store:
            numbers = list(_numbers(store))
    ordered = all(
        of_kind == sorted(of_kind)
        for of_kind in ([n for k, n in numbers if k == kind] for kind in ("verdict", "event"))
    )
    return {
        "kills": times,
        "link": f"cut for {CUT_S:g} s each {CUT_EVERY_S:g} s",
        "records": records,
        "took_s": round(took_s, 1),
        "lost": len(set(range(records)) - {n for _, n in numbers}),
        "counted_twice": len(numbers) - len({n for _, n in numbers}),
        "of_the_wrong_kind": sum(kind != kind_of(n) for kind, n in numbers),
        "in_order": ordered,
    }


def _numbers(store: SqliteRecordStore) -> Iterator[tuple[str, int]]:
    after = 0
    while page := store.page(Query(device="bench"), after, PAGE):
        yield from ((kept.name.kind, kept.body["n"]) for kept in page)
        after = page[-1].id
