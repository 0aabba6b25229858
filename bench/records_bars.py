"""What the measurements of records, sets and artefacts have to keep to, see records.py."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

RATE = 5000.0
"""Records a second from 16 devices."""
COST, BESIDE = 1.1, 1.2
"""Ages of live frames: beside records (p50), beside an artefact (p99), times those alone."""
KILLS, RECORDS, FRAMES, BYTES = 1000, 100_000, 2000, 200_000_000
"""The long forms."""

Value = tuple[str, float, str, float]


def records_values(result: dict[str, Any]) -> Iterator[Value]:
    """Each value with its name, the way that it is compared and its bar; NaN: not measured."""
    rows = {row.get("devices"): row for row in result.get("rate", ()) if row["of"] == "mastra"}
    rate = _number(rows.get(16, {}), "records_per_s")
    yield "records committed over TLS from 16 devices, a second", rate, "at least", RATE
    by = {row["beside"]: row for row in result.get("cost", {}).get("rows", ())}
    what = "age of live frames beside records (p50), times"
    yield what, _ratio(by.get("records"), by.get("nothing"), "p50"), "at most", COST
    carried = _number(by.get("records", {}), "carried")
    yield "records that went up meanwhile", carried, "above", 0.0
    what = "age of live frames beside an artefact (p99), times"
    yield what, _ratio(by.get("artefact"), by.get("nothing"), "p99"), "at most", BESIDE
    yield from _kills(result.get("kills", {}))
    yield from _sets(result.get("sets", {}))
    yield from _artefact(result.get("artefact", {}))


def _kills(told: dict[str, Any]) -> Iterator[Value]:
    yield "SIGKILLs of both sides while records went up", _number(told, "kills"), *_least(KILLS)
    yield "records told meanwhile", _number(told, "records"), *_least(RECORDS)
    yield "records lost through kills and cuts", _number(told, "lost"), "at most", 0.0
    yield "records counted twice through them", _number(told, "counted_twice"), "at most", 0.0
    yield "records of kinds out of order", _not(told, "in_order"), "at most", 0.0


def _sets(told: dict[str, Any]) -> Iterator[Value]:
    yield "frames of a set through kills and cuts", _number(told, "frames"), *_least(FRAMES)
    yield "frames of a set lost", _number(told, "lost"), "at most", 0.0
    yield "frames of a set counted twice", _number(told, "counted_twice"), "at most", 0.0
    yield "frames of a set out of order", _not(told, "in_order"), "at most", 0.0


def _artefact(told: dict[str, Any]) -> Iterator[Value]:
    yield "bytes of an artefact through cuts", _number(told, "bytes"), *_least(BYTES)
    whole = math.nan if not told else float(told["whole"] and told["arrived"] == 1)
    yield "artefacts that came whole, once", whole, "at least", 1.0
    alone, beside = told.get("age_ms_alone"), told.get("age_ms_beside")
    ratio = math.nan if not alone or not beside else round(beside["p99"] / alone["p99"], 3)
    yield "age of live frames beside it through cuts (p99), times", ratio, "at most", BESIDE


def _least(bar: float) -> tuple[str, float]:
    return "at least", float(bar)


def _number(values: dict[str, Any], name: str) -> float:
    value = values.get(name)
    return math.nan if value is None else float(value)


def _not(values: dict[str, Any], name: str) -> float:
    return math.nan if name not in values else float(not values[name])


def _ratio(row: dict[str, Any] | None, base: dict[str, Any] | None, share: str) -> float:
    if row is None or base is None:
        return math.nan
    return float(round(row["age_ms"][share] / base["age_ms"][share], 3))
