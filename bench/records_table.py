"""Writes the measurements of records in docs/architecture.md from bench/results/records.json.

    python -m bench.records_table [--check]

With --check nothing is written, and the status is 1 if they are old.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from bench import page
from bench.published import result

PAGE = "docs/architecture.md"


def tables(document: dict[str, Any]) -> str:
    """Rates, what they cost live frames, what was killed, and which bars do not hold."""
    lines = ["| what | measured |", "| --- | --- |"]
    lines += [f"| {what} | {value} |" for what, value in _rows(document)]
    return "\n".join([*lines, "", *page.missed(document)])


def _rows(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for row in document.get("rate", ()):
        if lacking := row.get("not_installed"):
            yield row["of"], f"not installed: {lacking}"
            continue
        name = {"mastra": "records a second, committed, over TLS"}.get(row["of"], row["of"])
        devices = f", from {row['devices']} at once" if "devices" in row else ""
        yield f"{name}{devices}", f"{row['records_per_s']:,.0f}"
    for row in document.get("cost", {}).get("rows", ()):
        age, link = row["age_ms"], document["cost"]["link"]
        what = f"age of live frames beside {row['beside']} ({link})"
        yield what, f"{age['p50']:.1f} ms p50, {age['p99']:.1f} ms p99"
    if told := document.get("kills"):
        what = f"{told['records']:,} records through {told['kills']:,} SIGKILLs of both sides, link"
        yield f"{what} {told['link']}, {told['took_s']:,.0f} s", _lost(told)
    if told := document.get("sets"):
        what = f"{told['frames']:,} frames of a set through {told['kills']:,} SIGKILLs, link"
        yield f"{what} {told['link']}, {told['took_s']:,.0f} s", _lost(told)
    if told := document.get("artefact"):
        whole = "whole, once" if told["whole"] and told["arrived"] == 1 else "not whole"
        took = "" if told["took_s"] is None else f" after {told['took_s']:,.0f} s"
        bps = told.get("bits_per_s")
        took += "" if bps is None else f" ({bps / 1e6:.1f} Mbit/s)"
        ages = (f"{told[one]['p99']:.1f}" for one in ("age_ms_beside", "age_ms_alone"))
        what = f"an artefact of {told['bytes'] / 1e6:.0f} MB, link {told['link']}"
        beside, alone = ages
        yield what, f"{whole}{took}; live frames p99 {beside} ms beside it, {alone} ms alone"


def _lost(told: dict[str, Any]) -> str:
    order = "in order" if told["in_order"] else "out of order"
    return f"{told['lost']} lost, {told['counted_twice']} counted twice, {order}"


def main() -> int:
    """Write the page."""
    check = page.asked_to_check(__doc__)
    made = tables(result(page.ROOT, "records"))
    return page.write(PAGE, page.between(page.read(PAGE), made), check=check)


if __name__ == "__main__":
    sys.exit(main())
