"""Writes the table of servers in docs/gateway.md from bench/results/gateway.json.

    python -m bench.gateway_table [--check]

With --check nothing is written, and the status is 1 if it is old.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from bench import page
from bench.published import result

PAGE = "docs/gateway.md"


def tables(document: dict[str, Any]) -> str:
    """Ours alone, beside the others, the board's network, and which bars do not hold."""
    return "\n".join([*_tables(document), *page.missed(document)])


def _tables(document: dict[str, Any]) -> Iterator[str]:
    runs = document.get("tiny", {}).get("gateway", ())
    if runs:
        yield "| devices | frames/s | age p50 / p99 | heartbeat p99 | processor a frame |"
        yield "| --- | --- | --- | --- | --- |"
    for run in runs:
        age, beat = run["latency_ms"], run["heartbeat_ms"]["p99"]
        yield (
            f"| {run['devices']} | {run['frames_per_s']:,.0f} | {age['p50']:.1f} / "
            f"{age['p99']:.1f} ms | {beat:.1f} ms | {run['gateway_us_a_frame']:.0f} us |"
        )
    if runs:
        yield ""
    yield from _beside(document.get("beside", {}))
    board = document.get("board_defects", {})
    if "share_of_alone" in board:
        share = f"{board['share_of_alone']:.1%}"
        yield f"The board's network through the whole gateway: {share} of ONNX Runtime alone.\n"


def _beside(told: dict[str, Any]) -> Iterator[str]:
    rows = told.get("rows", {})
    numbers = sorted({row["clients"] for some in rows.values() for row in some})
    if rows:
        yield "| a second, by clients | " + " | ".join(map(str, numbers)) + " | p50 of one |"
        yield "| --- |" + " --- |" * (len(numbers) + 1)
    for name, some in rows.items():
        by = {row["clients"]: row for row in some}
        rates = [f"{by[n]['per_s']:,.0f}" if "per_s" in by.get(n, {}) else "" for n in numbers]
        alone = by.get(1, {}).get("p50_ms")
        yield f"| {name} | {' | '.join(rates)} | {'' if alone is None else f'{alone:.2f} ms'} |"
    for name, why in told.get("skipped", {}).items():
        yield f"\nNot measured: {name} ({' '.join(why.split())[:120]}).\n"
    if rows:
        yield ""


def main() -> int:
    """Write the page."""
    check = page.asked_to_check(__doc__)
    made = tables(result(page.ROOT, "gateway"))
    return page.write(PAGE, page.between(page.read(PAGE), made), check=check)


if __name__ == "__main__":
    sys.exit(main())
