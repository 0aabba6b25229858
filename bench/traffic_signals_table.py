"""Writes the measurements of docs/traffic_signals.md from bench/results/traffic_signals.json.

    python -m bench.traffic_signals_table [--check]

With --check nothing is written, and the status is 1 if they are old.
"""

from __future__ import annotations

import sys
from typing import Any

from bench import page
from bench.published import result

PAGE = "docs/traffic_signals.md"
NAMES = {
    "ours": "`tuned`",
    "plain": "`fullest`",
    "fixed": "fixed time, tuned",
    "actuated": "SUMO's actuated, tuned",
    "network": "program of the network",
    "max_pressure": "`max_pressure`",
    "webster": "`webster`",
    "static": "no sensing: the static plan",
}


def tables(document: dict[str, Any]) -> str:
    """Delays by scenario and policy, what was frozen, and the bars."""
    first = ("scenario", "policy", "sensing", "seeds", "delay, s", "median, s", "worst seed, s")
    heads = (*first, "less than the better tuned one, %", "gridlocked")
    lines = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    for row in document.get("rows", ()):
        saved = f"{row['saved_percent']:+.1f} ± {row['saved_ci_percent']:.1f}"
        name = NAMES[row["policy"]]
        if row["policy"] == row["better"]:
            name, saved = f"**{name}**", ""
        lines.append(
            f"| {row['scenario']} | {name} | {row['sensing']} | {row['seeds']} | "
            f"{row['delay_s']:.1f} ± {row['delay_ci_s']:.1f} | {row['median_s']:.1f} | "
            f"{row['worst_seed_s']:.1f} | {saved} "
            f"| {row['gridlocked']} |"
        )
    lines += ["", *_frozen(document.get("frozen", {})), ""]
    lines += [*(f"Note: {note}." for note in document.get("notes", ())), "", *page.missed(document)]
    return "\n".join(lines)


def _frozen(frozen: dict[str, Any]) -> list[str]:
    if not frozen:
        return []
    ours = frozen["ours"]
    told = ", ".join(f"{name} {value:g}" for name, value in ours["parameters"].items())
    tuned = ", ".join(
        f"{name} {policy} {one['mean_s']:.1f} s ({one['trials']} trials, {one['runs']} runs)"
        for policy in ("fixed", "actuated")
        for name, one in frozen[policy].items()
    )
    return [
        (
            f"Frozen on seeds {frozen['seeds'][0]} to {frozen['seeds'][1]}: ours, one set for all "
            f"scenarios and both kinds of sensing, {told} ({ours['trials']} trials, {ours['runs']} "
            f"runs). Means of the others there: {tuned}."
        )
    ]


def main() -> int:
    """Bring the page up to date, or say that it is old."""
    made = tables(result(page.ROOT, "traffic_signals"))
    new = page.between(page.read(PAGE), f"\n{made}\n")
    return page.write(PAGE, new, check=page.asked_to_check(__doc__))


if __name__ == "__main__":
    sys.exit(main())
