"""What an attacker and a bad day bring: every row of the matrix, with the latency beside it.

    python -m bench.hostile [--item 3]... [--only TEXT] [--runs 5] [--resume] [--out FILE]
    python -m bench.hostile --table [--check]

Each row is run several times. During each run, and every 20 s before one, a healthy device in a
process of its own sends a frame each 30 ms to the same gateway; gateway, device and attacker share
this machine. The report (bench/results/hostile.json) is written after every row; --resume leaves
out those which it has from as many runs of this very code, and keeps what it has of rows that are
not asked for; each row says of which code it is. A row holds when no frame was lost or counted
twice, memory stayed within the row's bound, nothing that the row looks at was wrong, and the median
of p99 with the attack is at most 1.5 times that without it or 20 ms above it. --table writes what
was measured into docs/reliability.md; with --check it only says whether the page is up to date.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import page
from bench.attacks.row import MEBIBYTE, Record, Row, all_rows
from bench.attacks.site import Sites, median
from bench.bars import judged

RESULTS, PAGE = page.ROOT / "bench/results/hostile.json", "docs/reliability.md"
FACTOR, MORE_MS = 1.5, 20.0
TOLD_MAX, TEXT_MAX = 5, 200
"""Different complaints of a row, and characters of each, in the report."""


def runs_of(row: Row, runs: int) -> int:
    """How often this row is run: once, with as many attempts, where no latency is measured."""
    return 1 if row.alone else runs


def code_state() -> str:
    """A digest of the code that is attacked, and of that which attacks."""
    digest = hashlib.sha256()
    for folder in ("mastra_ros", "mastra_ros_cli", "bench/attacks"):
        for path in sorted((page.ROOT / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(page.ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def told(row: Row, records: list[Record], seconds: float) -> dict[str, Any]:
    """One row for the report; `seconds` is what all its runs took."""
    without = median([record.p99_without_ms for record in records])
    with_attack = median([record.p99_with_ms for record in records])
    complaints = sorted({text[:TEXT_MAX] for record in records for text in record.complaints})
    if len(complaints) > TOLD_MAX:
        complaints[TOLD_MAX:] = [f"and {len(complaints) - TOLD_MAX} more"]
    # A row that ends its gateway has no device beside it; NaN compares as false.
    if with_attack > max(FACTOR * without, without + MORE_MS):
        complaints.append(
            f"p99 of the healthy device went from {without:.1f} to {with_attack:.1f} ms"
        )
    return {
        "item": row.item,
        "row": row.name,
        "attempts": sum(record.attempts for record in records),
        "lost": sum(record.lost for record in records),
        "counted_twice": sum(record.twice for record in records),
        "memory_before_mib": round(records[0].memory_before / MEBIBYTE, 1),
        "memory_most_mib": round(max(one.memory_most for one in records) / MEBIBYTE, 1),
        "memory_after_mib": round(records[-1].memory_after / MEBIBYTE, 1),
        "healthy_p99_without_ms": round(without, 2),
        "healthy_p99_with_ms": round(with_attack, 2),
        "holds": not complaints,
        "complaints": complaints,
        "runs": len(records),
        "seconds": round(seconds, 1),
    }


def measure(
    rows: Sequence[Row], runs: int, on_row: Callable[[dict[str, Any]], None]
) -> list[dict[str, Any]]:
    """Run these rows; `on_row` hears of each."""
    found: list[dict[str, Any]] = []
    started_s = time.monotonic()
    sites = Sites(short=False, runs=runs)
    try:
        for number, row in enumerate(rows, 1):
            began_s = time.monotonic()
            records: list[Record] = []
            sites.runs = runs_of(row, runs)
            while len(records) < sites.runs:
                sites.run = len(records)
                records.append(row.run(sites))
            one = told(row, records, time.monotonic() - began_s)
            found.append(one)
            sites.tidy()
            verdict = "holds" if one["holds"] else "; ".join(one["complaints"])
            p99 = f"{one['healthy_p99_without_ms']} -> {one['healthy_p99_with_ms']} ms"
            print(
                f"{number}/{len(rows)} [{time.monotonic() - started_s:.0f} s] "
                f"{row.item}: {row.name}: {one['seconds']} s, {p99}: {verdict}",
                flush=True,
            )
            on_row(one)
    finally:
        sites.close()
    return found


Key = tuple[str, str]
"""Item and name of a row."""


def kept(path: Path) -> dict[Key, dict[str, Any]]:
    """The rows of a report; none where there is no report."""
    if not path.exists():
        return {}
    document = json.loads(path.read_text("utf-8"))
    return {(one["item"], one["row"]): one for one in document.get("rows", ())}


def table(document: dict[str, Any]) -> str:
    """The matrix as Markdown."""
    lines = [
        (
            "| item | row | attempts | lost | twice | memory before, most, after (MiB) "
            "| healthy p99 without, with (ms) | holds |"
        ),
        "|" + " --- |" * 8,
    ]
    for one in document["rows"]:
        memory = (one["memory_before_mib"], one["memory_most_mib"], one["memory_after_mib"])
        p99 = (one["healthy_p99_without_ms"], one["healthy_p99_with_ms"])
        lines.append(
            f"| {one['item']} | {one['row']} | {one['attempts']} | {one['lost']} "
            f"| {one['counted_twice']} | {', '.join(f'{value:.0f}' for value in memory)} "
            f"| {', '.join(f'{value:.1f}' for value in p99)} "
            f"| {_said(one['holds'])} |"
        )
    lines += ["", "| bar | value | holds |", "| --- | --- | --- |"]
    lines += [
        f"| {bar['name']} {bar['bar']:g} | {bar['value']:g} | {_said(bar['holds'])} |"
        for bar in document["bars"]
    ]
    return "\n".join(lines)


def _said(holds: bool) -> str:
    return "yes" if holds else "**no**"


def write_table(*, check: bool) -> int:
    """Bring the page up to date; with `check` only say whether it is."""
    made = table(json.loads(RESULTS.read_text("utf-8")))
    return page.write(PAGE, page.between(page.read(PAGE), made), check=check)


def main() -> int:
    """Measure the matrix and write the report, or the table."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--item", type=int, action="append", metavar="N", help="rows of this item; may be repeated"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name has this")
    parser.add_argument("--runs", type=int, default=5, help="of each row; default: 5")
    parser.add_argument(
        "--resume", action="store_true", help="go on where a run of this very code was interrupted"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="write docs/reliability.md")
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    args = parser.parse_args()
    if args.table:
        return write_table(check=args.check)
    about = {
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
        "runs_each": args.runs,
    }
    every = all_rows()
    asked = [
        row
        for row in every
        if (not args.item or row.number in args.item) and args.only in f"{row.item}: {row.name}"
    ]
    code, report = code_state(), kept(args.out) if args.resume else {}

    def write(one: dict[str, Any]) -> None:
        report[one["item"], one["row"]] = {**one, "code": code}
        # A row that is no more, or has another name now, is left out.
        rows = [report[row.key] for row in every if row.key in report]
        text = json.dumps(judged("hostile", {**about, "rows": rows}), indent=2) + "\n"
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text, "utf-8")

    def done(row: Row) -> bool:
        one = report.get(row.key, {})
        return (one.get("code"), one.get("runs")) == (code, runs_of(row, args.runs))

    measure([row for row in asked if not done(row)], args.runs, write)
    rows = [report[row.key] for row in asked if row.key in report]
    for bar in judged("hostile", {"rows": rows})["bars"]:
        print(bar)
    return 0 if rows and all(row["holds"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
