"""All policies in one scenario, and the tables of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..config import SchedulingConfig
from ..errors import ConfigError
from ..planning.prices import Prices
from ..scheduling.policies.policy import POLICIES
from .measures import Measures, measure
from .optimum import Optimum, offline_optimum
from .world import Scenario, World

BASELINES = {"always-local": "local", "always-cloud": "cloud"}
"""The policy `fixed`, by its route."""
CHOICES = tuple(name for name in POLICIES if name != "fixed") + tuple(BASELINES)


def config_for(name: str, base: SchedulingConfig) -> SchedulingConfig:
    """The parameters under which `name` (of CHOICES) runs."""
    if name in BASELINES:
        return replace(base, policy="fixed", route=BASELINES[name])
    if name not in CHOICES:
        raise ConfigError(f"policy: expected one of {', '.join(CHOICES)}, got {name!r}")
    return replace(base, policy=name)


def compare(
    scenario: Scenario, base: SchedulingConfig, names: Sequence[str], prices: Prices
) -> tuple[Optimum, list[Measures]]:
    """Run each policy through the scenario; all meet the same link, load and frames."""
    base = replace(base, deadline_ms=scenario.deadline_ms, split=scenario.stages.split)
    configs = {name: config_for(name, base) for name in names}
    optimum = offline_optimum(scenario)
    told = [
        measure(name, scenario, World(scenario, config).run(), optimum, prices)
        for name, config in configs.items()
    ]
    return optimum, told


def to_text(scenario: Scenario, optimum: Optimum, rows: Sequence[Measures], currency: str) -> str:
    """The table for people."""
    head = (
        f"{scenario.trace.name}: {scenario.frames} frames at {scenario.rate_hz:g} Hz, deadline "
        f"{scenario.deadline_ms:g} ms, seed {scenario.seed}; accuracy: {scenario.accuracy.source}"
    )
    title = (
        f"{'policy':13} {'in time':>8} {'regret':>7} {'F':>6} {'F in time':>9} {'p50 ms':>7} "
        f"{'p99 ms':>7} {'cloud':>6} {'switch':>6} {'MB up':>7} {'J':>7} {currency + '/M':>8}"
    )
    lines = [head, title]
    lines.append(
        f"{'(optimum)':13} {optimum.hit_rate:8.2%}   of these by cloud "
        f"{optimum.cloud / max(optimum.hits, 1):.1%}"
    )
    lines += [
        f"{row.policy:13} {row.hit_rate:8.2%} {row.regret:7.2%} {row.accuracy:6.3f} "
        f"{row.accuracy_in_time:9.3f} {row.age_p50_ms:7.1f} {row.age_p99_ms:7.1f} "
        f"{row.cloud_share:6.1%} {row.switches:6d} {row.uploaded_mb:7.2f} {row.energy_j:7.1f} "
        f"{row.money:8.2f}"
        for row in rows
    ]
    return "\n".join(lines)


def to_json(scenario: Scenario, optimum: Optimum, rows: Sequence[Measures]) -> dict[str, Any]:
    """As plain values."""
    return {
        "trace": scenario.trace.name,
        "frames": scenario.frames,
        "rate_hz": scenario.rate_hz,
        "deadline_ms": scenario.deadline_ms,
        "seed": scenario.seed,
        "accuracy": scenario.accuracy.source,
        "optimum": {
            "hit_rate": round(optimum.hit_rate, 5),
            "cloud": optimum.cloud,
            "local": optimum.local,
        },
        "policies": [row.to_dict() for row in rows],
    }


def to_csv(scenario: Scenario, rows: Sequence[Measures]) -> str:
    """One line a policy."""
    text = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        told = {"trace": scenario.trace.name, "deadline_ms": scenario.deadline_ms, **row.to_dict()}
        if writer is None:
            writer = csv.DictWriter(text, list(told), lineterminator="\n")
            writer.writeheader()
        writer.writerow(told)
    return text.getvalue()
