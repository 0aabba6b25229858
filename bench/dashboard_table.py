"""Writes the measurements of docs/dashboard.md from bench/results/dashboard.json.

    python -m bench.dashboard_table [--check]

With --check nothing is written, and the status is 1 if they are old.
"""

from __future__ import annotations

import statistics
import sys
from typing import Any

from bench import page
from bench.dashboard_bars import HEAP_S
from bench.published import result

PAGE = "docs/dashboard.md"


def tables(document: dict[str, Any]) -> str:
    """What it costs, and the bars."""
    if not document:
        return "Not measured yet."
    lines = ["| | measured |", "| --- | --- |"]
    lines += [f"| {what} | {value} |" for what, value in _rows(document)]
    machine = document["machine"]
    how = f"On {machine['cores']} cores ({machine['cpu']}), everything on the same machine."
    return "\n".join([*lines, "", how, "", *page.missed(document)])


def _rows(document: dict[str, Any]) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if ages := document.get("ages"):
        rows += _ages(ages)
    if most := document.get("maximum"):
        rows += [
            ("most frames/s without pages", f"{most['frames_per_s']:.0f}"),
            ("of them lost with 20 pages", f"{most['lost_percent']} %"),
            ("share of the processor of dashboard and pages", f"{most['share_percent']} %"),
        ]
    if live := document.get("live"):
        how = f"{live['devices']} live devices, a list and a device shown"
        rows.append((f"of a core, {how}", f"{live['core_percent']} %"))
    if heap := document.get("heap"):
        how = "" if heap["seconds"] >= HEAP_S else f" (slope of {heap['seconds']:.0f} s)"
        for name in ("process", "page"):
            if told := heap.get(name):
                grown = f"{told['mib']} MiB, {told['growth_30_min_percent']} %"
                rows.append((f"memory of the {name}, growth in 30 min{how}", grown))
    if seen := document.get("seen"):
        for name, what in (
            ("cut", "a cut is in the chart after"),
            ("decision", "a device decides by a changed parameter after"),
        ):
            if times := seen.get(f"{name}_s"):
                median = seen[f"{name}_median_s"]
                rows.append((what, f"{median} s, the slowest {max(times)} s"))
    if listed := document.get("listed"):
        rows.append(
            (f"page with {listed['devices']} devices ready after", f"{listed['ready_s']} s")
        )
    return rows


def _ages(ages: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for place, pages in enumerate((0, 1, 20)):
        what = f"age p99 at {ages['rate']:.0f} frames/s, {pages} pages"
        if "runs" in ages:  # measured before slices took turns
            p99 = statistics.median(one[place]["p99_ms"] for one in ages["runs"])
            rows.append((what, f"{p99} ms"))
            continue
        value = f"{ages[f'p99_{pages}_ms']} ms"
        if pages:
            low, high = ages[f"pages_{pages}_interval"]
            more = ages[f"pages_{pages}_percent"]
            value += f", {more:+} % ({low:+} to {high:+}) in {ages['turns']} turns"
        rows.append((what, value))
    return rows


def main() -> int:
    """Bring the page up to date, or say that it is old."""
    made = tables(result(page.ROOT, "dashboard"))
    new = page.between(page.read(PAGE), f"\n{made}\n")
    return page.write(PAGE, new, check=page.asked_to_check(__doc__))


if __name__ == "__main__":
    sys.exit(main())
