"""What a run was worth: hits, accuracy, energy, money, switches, regret."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..planning.prices import Prices
from ..types import Route
from .optimum import Optimum
from .world import Run, Scenario

BYTES_PER_GB = 1e9
J_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Measures:
    """Of one policy in one scenario.

    hit_rate: share of all frames with a final result within the deadline of their capture.
    regret: the offline optimum's hit rate less this one. accuracy: F-score of the results there
    are, late ones too; accuracy_in_time: with frames not answered in time as all missed.
    energy_j: of the device above idle, model, encoder and radio. money: energy_j, traffic and
    the gateway's time, per million frames, by the price table; what the device itself costs and
    its idling are the same for all policies and left out.
    """

    policy: str
    frames: int
    hit_rate: float
    regret: float
    accuracy: float
    accuracy_in_time: float
    age_p50_ms: float
    age_p99_ms: float
    cloud_share: float  # of final results
    superseded: int
    hedged: int
    spilled: int
    escalated: int
    switches: int
    uploaded_mb: float
    energy_j: float
    money: float

    def to_dict(self) -> dict[str, Any]:
        """As in JSON and CSV, rounded; NaN becomes None."""
        told = asdict(self)
        return {
            name: (None if value != value else round(value, 5))
            if isinstance(value, float)
            else value
            for name, value in told.items()
        }


def measure(
    policy: str, scenario: Scenario, run: Run, optimum: Optimum, prices: Prices
) -> Measures:
    """Measure one run."""
    ages = np.asarray(run.ages_ms)
    hits = ages <= scenario.deadline_ms  # False for NaN
    answered = [origin for origin in run.origins if origin is not None]
    samples = scenario.draws().sample
    in_time = [o if hit else None for o, hit in zip(run.origins, hits, strict=True)]
    given = np.asarray([origin is not None for origin in run.origins])
    known = ages[np.isfinite(ages)]
    energy_j = energy(scenario, run)
    return Measures(
        policy=policy,
        frames=scenario.frames,
        hit_rate=float(hits.mean()) if len(hits) else 1.0,
        regret=optimum.hit_rate - (float(hits.mean()) if len(hits) else 1.0),
        accuracy=scenario.accuracy.f_score(samples[given], [o for o in run.origins if o]),
        accuracy_in_time=scenario.accuracy.f_score(samples, in_time),
        age_p50_ms=float(np.percentile(known, 50)) if len(known) else float("nan"),
        age_p99_ms=float(np.percentile(known, 99)) if len(known) else float("nan"),
        cloud_share=sum(o is not Route.LOCAL for o in answered) / max(len(answered), 1),
        superseded=run.counters.superseded,
        hedged=run.counters.hedged,
        spilled=run.counters.spilled,
        escalated=run.counters.escalated,
        switches=len(run.switches),
        uploaded_mb=run.uploaded_bytes / 1e6,
        energy_j=energy_j,
        money=money(run, energy_j, scenario, prices) * 1e6 / max(scenario.frames, 1),
    )


def energy(scenario: Scenario, run: Run) -> float:
    """Of the device above idle, in J."""
    stages = scenario.stages
    busy_s = (run.local_busy_ms * stages.local_cpu + run.encode_busy_ms * stages.encode_cpu) / 1e3
    return busy_s * stages.busy_w + run.uploaded_bytes / 1e6 * stages.upload_j_per_mb


def money(run: Run, energy_j: float, scenario: Scenario, prices: Prices) -> float:
    """Of one run, in the price table's currency.

    A gateway is paid for all the time and may be busy for `load_max` of it, so an hour of its
    model's time costs price / load_max, for each of the frames that it works on at once.
    """
    gb = run.uploaded_bytes / BYTES_PER_GB
    hours = run.gateway_ms / 3.6e6 / scenario.stages.cloud_workers
    return (
        energy_j / J_PER_KWH * prices.electricity_per_kwh
        + gb * (prices.uplink_per_gb + prices.ingress_per_gb)
        + hours * prices.server.price_hour / prices.load_max
    )
