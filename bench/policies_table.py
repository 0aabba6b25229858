"""Writes the comparison of policies in docs/scheduling.md from bench/results/policies.json.

    python -m bench.policies_table [--check]

With --check nothing is written, and the status is 1 if the table is old.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from bench import page

RESULTS, PAGE = "bench/results/policies.json", "docs/scheduling.md"
TRACES = {"ATT-LTE-driving-2016": "ATT LTE", "TMobile-UMTS-driving": "TMobile UMTS"}
SHOWN = ("dta", "adaptive", "latency", "latency, thrifty", "always-local", "always-cloud")


def table(document: dict[str, Any]) -> str:
    """The table as Markdown, and what of the bar is reached."""
    results = document["results"]
    head = f"| trace, case | optimum | {' | '.join(SHOWN)} |"
    lines = [head, "|" + " --- |" * (head.count("|") - 1)]
    lines += [_row(one) for one in results]
    lines += [
        "",
        "What of the bar (0.9 of the optimum, and better than `dta` in both) is reached:",
        "",
    ]
    return "\n".join([*lines, *(_bar(one) for one in results)])


def _name(one: dict[str, Any]) -> str:
    return f"{TRACES[one['trace']]}, {one['case']}"


def _row(one: dict[str, Any]) -> str:
    policies = {row["policy"]: row for row in one["policies"]}
    cells = [f"{policies[p]['hit_rate']:.1%}, {policies[p]['money']:.2f}" for p in SHOWN]
    return f"| {_name(one)} | {one['optimum']['hit_rate']:.1%} | {' | '.join(cells)} |"


def _bar(one: dict[str, Any]) -> str:
    bar = one["bar"]

    def said(what: str) -> str:
        return "yes" if bar[what] else "**no**"

    better = ", ".join(f"`{name}`" for name in bar["beat_dta_in_both"]) or "none"
    return (
        f"- {_name(one)}: best is `{bar['best']}` with {bar['of_optimum']:.3f} of the optimum "
        f"({said('of_optimum_reached')}); beats `dta` in frames in time: "
        f"{said('beats_dta_in_hits')}, in money: {said('beats_dta_in_money')}, in energy: "
        f"{said('beats_dta_in_energy')}. Policies that beat `dta` in frames and money: {better}."
    )


def main() -> int:
    """Read the command line and write the page, or check it."""
    check = page.asked_to_check(__doc__)
    made = table(json.loads((page.ROOT / RESULTS).read_text(encoding="utf-8")))
    return page.write(PAGE, page.between(page.read(PAGE), made), check=check)


if __name__ == "__main__":
    sys.exit(main())
