"""Writes the measurements of docs/traffic.md from bench/results/traffic.json.

    python -m bench.traffic_table [--check]

With --check nothing is written, and the status is 1 if they are old.
"""

from __future__ import annotations

import sys
from typing import Any

from bench import page
from bench.published import result

PAGE = "docs/traffic.md"


def tables(document: dict[str, Any]) -> str:
    """Plates by set, counts by lane, times of the cascade, and the bars."""
    parts = [_plates(document.get("plates", ()))]
    if votes := document.get("vote"):
        parts.append(_votes(votes))
    if counts := document.get("counts"):
        parts.append(_counts(counts))
    if cascade := document.get("cascade"):
        parts.append(_cascade(cascade))
    return "\n\n".join([*parts, "\n".join(page.missed(document))])


def _table(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _plates(rows: Any) -> str:
    heads = ("finder", "reader", "set", "photographs", "recall", "exact", "exact, folded")
    keys = ("photographs", "recall", "exact", "exact_folded", "folded_by_all")
    made = [
        (f"`{row['finder']}`", f"`{row['reader']}`", name, *(row[name].get(k, "") for k in keys))
        for row in rows
        for name in ("eu", "us")
    ]
    return _table((*heads, "folded, by all formats"), made)


def _votes(rows: Any) -> str:
    heads = ("reader", "pictures", "tracks", "readings", "told by one reading", "told by the vote")
    made = []
    for row in rows:
        for name in ("drawn", "video"):
            if told := row.get(name):
                by = [_told(told, how) for how in ("one_reading", "vote")]
                made.append((f"`{row['reader']}`", name, told["tracks"], told["readings"], *by))
    return _table(heads, made)


def _told(told: dict[str, Any], how: str) -> str:
    right = told.get(f"{how}_right")
    return str(told[f"{how}_told"]) + ("" if right is None else f", {right} of them right")


def _counts(counts: dict[str, Any]) -> str:
    rates = (30, 10, 5)
    heads = ("lane", "by eye", *(f"at {fps} frames/s" for fps in rates))
    keys = sorted({k for part in ("by_eye", *(f"fps_{f}" for f in rates)) for k in counts[part]})
    made = [
        (key, counts["by_eye"].get(key, 0), *(counts[f"fps_{fps}"].get(key, 0) for fps in rates))
        for key in keys
    ]
    return _table(heads, made)


def _cascade(cascade: dict[str, Any]) -> str:
    names = ("vehicles", "tracks", "finding", "reading", "whole")
    made = [
        (name, *(cascade[name].get(key, "") for key in ("count", "p50_ms", "p99_ms")))
        for name in names
    ]
    text = _table(("part, one core", "times", "p50, ms", "p99, ms"), made)
    return f"{text}\n\nAll of them on one core: {cascade['frames_per_s']} frames/s."


def main() -> int:
    """Bring the page up to date, or say that it is old."""
    made = tables(result(page.ROOT, "traffic"))
    new = page.between(page.read(PAGE), f"\n{made}\n")
    return page.write(PAGE, new, check=page.asked_to_check(__doc__))


if __name__ == "__main__":
    sys.exit(main())
