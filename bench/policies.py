"""All policies on recorded links, against an offline optimum that knows the future.

    python -m bench.policies [--seeds 3] [--seconds 0] [--jobs 1]
        [--coding video|tiles] [--out bench/results/policies.json]

The traces are those of $MASTRA_DATA/traces. The cases, laid down before the first run on them:

- traffic: car-detection.mp4's frame sizes and rate (12.5 Hz), deadline 150 ms, the default.
- inspection: the synthetic line 640x640, 10 Hz, deadline 300 ms: 150 ms was less than what
  uploading one of its frames took on these links while they were stills and tiles.

Sizes are those of video, the default (bench/results/compression.json, `auto` at the default
quality): the mean, and the largest, which is a key frame. `--coding tiles` takes those of JPEG
tiles, of which the cases were laid down: 6.1 and 29.7 KB, whole pictures 19.8 and 76 KB.

- reference: traffic's frames on a device as fast as the reference machine's share of this model
  allows (10 ms a frame): it never needs the cloud, and a policy should see that. Added later.

Else the device is Raspberry-class, and the gateway as in config/simulation/stages.yaml, which says
what is measured and what assumed; others use half of the device's CPU now and then
(`LoadTrace.bursts`); the empty link's round trip is 40 ms. `local_in_flight` is 1 for all, since a
second frame would wait longer than it may; every other parameter has its default. All
policies have the same arbiter, hysteresis and hedging; `dta, no hedging` shows dta without, and
`latency, thrifty` shows latency with `cloud_cost` 0.3.

The bar: the best policy has at least 0.9 of the optimum's hit rate, and beats `dta` in both hit
rate and money, on each trace. Losses are reported as they are. Beside it, for judging them:

- `money_floor`: what 0.9 of the optimum's hits cost at the least, knowing the future: the optimum
  over prices of a cloud frame (Lagrange's bound), and only the cloud frames are paid, as deltas.
- `money_per_more`: money for each more frame in time than `always-local` has, of a million frames.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.bars import judged
from bench.page import ROOT
from bench.published import result
from mastra_ros.cli.simulate import f_scores
from mastra_ros.config import SchedulingConfig
from mastra_ros.config.compression import VIDEO_QUALITY
from mastra_ros.planning.prices import Prices, load_prices
from mastra_ros.share import share_file
from mastra_ros.simulation.accuracy import AccuracyTable
from mastra_ros.simulation.compare import BASELINES, CHOICES, compare
from mastra_ros.simulation.load_trace import LoadTrace
from mastra_ros.simulation.measures import Measures
from mastra_ros.simulation.optimum import Optimum, offline_optimum
from mastra_ros.simulation.stage_times import load_stage_times
from mastra_ros.simulation.trace import Opportunities, open_trace
from mastra_ros.simulation.world import Scenario

TRACES = ("ATT-LTE-driving-2016", "TMobile-UMTS-driving")
CASES: dict[str, dict[str, Any]] = {
    "traffic": {"rate_hz": 12.5, "deadline_ms": 150.0, "scene": "cars"},
    "inspection": {"rate_hz": 10.0, "deadline_ms": 300.0, "scene": "line"},
    "reference": {"rate_hz": 12.5, "deadline_ms": 150.0, "scene": "cars", "local_ms": 10.0},
}
TILES = {"cars": (6121.0, 19823.0), "line": (29740.0, 75970.0)}
"""Bytes of a delta and of a whole picture, quality 85."""
RTT_MS = 40.0
SHOWN = ("hit_rate", "regret", "accuracy_in_time", "cloud_share", "switches", "energy_j", "money")
BAR = 0.9
THRIFTY = 0.3
PRICES = (1e-6, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0)
"""Of a cloud frame, in frames in time, for `money_floor`."""


def sizes_of(scene: str, coding: str) -> tuple[float, float]:
    """Bytes of a frame that rests on others, and of one that stands alone."""
    if coding == "tiles":
        return TILES[scene]
    points = result(ROOT, "compression")["scenes"][scene]["points"]
    wanted = ("auto", f"quality {VIDEO_QUALITY}")
    point = next(p for p in points if (p["curve"], p["quality"]) == wanted)
    header = point["header_bytes"]
    return point["bytes"] + header, point.get("key_bytes", point["largest_bytes"]) + header


def scenario(
    folder: Path, trace: str, case: str, seconds: float, seed: int, coding: str
) -> Scenario:
    """One trace in one case."""
    link = open_trace(folder / trace, RTT_MS, seed)
    assert isinstance(link.up, Opportunities)
    length_s = seconds or link.up.period_ms / 1e3
    values: dict[str, Any] = CASES[case]
    delta, key = sizes_of(values["scene"], coding)
    return Scenario(
        trace=link,
        stages=replace(
            load_stage_times(),
            delta_bytes=delta,
            key_bytes=key,
            local_ms=values.get("local_ms", load_stage_times().local_ms),
        ),
        accuracy=AccuracyTable.from_f_scores(*f_scores("models/board_defects")),
        load=LoadTrace.bursts(length_s, seed),
        rate_hz=values["rate_hz"],
        duration_s=length_s,
        deadline_ms=values["deadline_ms"],
        seed=seed,
    )


def mean(rows: list[Measures]) -> dict[str, Any]:
    """The mean over seeds, and the spread of the hit rate."""
    told: dict[str, Any] = {
        name: round(float(np.mean([getattr(row, name) for row in rows])), 5) for name in SHOWN
    }
    rates = [row.hit_rate for row in rows]
    return {"policy": rows[0].policy, **told, "hit_rate_min_max": [min(rates), max(rates)]}


def money_floor(world: Scenario, optimum: Optimum, prices: Prices) -> float:
    """Least money for a million frames with `BAR` of the optimum's hits; see the module."""
    wanted, least = BAR * optimum.hits, 0.0
    for price in PRICES:
        found = offline_optimum(world, price)
        # hits - price * cloud is at most that of `found`, for every schedule.
        least = max(least, (wanted - (found.hits - price * found.cloud)) / price)
    mean_bytes = float(np.mean(world.draws().delta_bytes))
    uplink = mean_bytes / 1e9 * (prices.uplink_per_gb + prices.ingress_per_gb)
    hours = float(np.mean(world.draws().cloud_ms)) / 3.6e6 / world.stages.cloud_workers
    each = uplink + hours * prices.server.price_hour / prices.load_max
    return least * each * 1e6 / max(world.frames, 1)


def judge(optimum: float, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What of the bar is reached, by the policy of the highest hit rate."""
    policies = [r for r in rows if "always" not in r["policy"] and "," not in r["policy"]]
    best = max(policies, key=lambda r: r["hit_rate"])
    dta = next(r for r in rows if r["policy"] == "dta")
    local = next(r for r in rows if r["policy"] == "always-local")
    for row in rows:
        more = row["hit_rate"] - local["hit_rate"]
        paid = row["money"] - local["money"]
        row["money_per_more"] = round(paid / more, 2) if more > 0 else None
    both = [
        r["policy"]
        for r in rows
        if r["policy"] not in ("dta", "dta, no hedging", *BASELINES)
        and r["hit_rate"] > dta["hit_rate"]
        and r["money"] < dta["money"]
    ]
    return {
        "beat_dta_in_both": both,
        "best": best["policy"],
        "of_optimum": round(best["hit_rate"] / optimum, 4),
        "of_optimum_reached": best["hit_rate"] >= BAR * optimum,
        "beats_dta_in_hits": best["hit_rate"] > dta["hit_rate"],
        "beats_dta_in_money": best["money"] < dta["money"],
        "beats_dta_in_energy": best["energy_j"] < dta["energy_j"],
        "beats_dta_in_money_per_hit": best["money"] / best["hit_rate"]
        < dta["money"] / dta["hit_rate"],
    }


@dataclass(frozen=True)
class Seed:
    """One trace in one case with one seed."""

    world: Scenario
    optimum: Optimum
    money_floor: float
    rows: list[Measures]


def measure(folder: Path, trace: str, case: str, seconds: float, seed: int, coding: str) -> Seed:
    """All policies on one trace in one case."""
    prices = load_prices(share_file("config/prices.yaml"))
    base = SchedulingConfig(local_in_flight=1)
    world = scenario(folder, trace, case, seconds, seed, coding)
    optimum, rows = compare(world, base, CHOICES, prices)
    for name, config in (
        ("dta, no hedging", replace(base, hedge=False)),
        ("latency, thrifty", replace(base, cloud_cost=THRIFTY)),
    ):
        _, (row,) = compare(world, config, [name.split(",")[0]], prices)
        rows.append(replace(row, policy=name))
    return Seed(world, optimum, money_floor(world, optimum, prices), rows)


def summary(trace: str, case: str, seeds: list[Seed]) -> dict[str, Any]:
    """The means over seeds, and what of the bar is reached."""
    optima, world = [seed.optimum for seed in seeds], seeds[0].world
    hit_rate = float(np.mean([optimum.hit_rate for optimum in optima]))
    means = [mean(list(rows)) for rows in zip(*(seed.rows for seed in seeds), strict=True)]
    return {
        "trace": trace,
        "case": case,
        "frames": world.frames,
        "mean_uplink_mbps": round(world.trace.up.mean_bps / 1e6, 2),  # type: ignore[attr-defined]
        "optimum": {
            "hit_rate": round(hit_rate, 5),
            "by_cloud": round(sum(o.cloud for o in optima) / sum(o.hits for o in optima), 4),
            "money_floor": round(float(np.mean([seed.money_floor for seed in seeds])), 4),
        },
        "policies": means,
        "bar": judge(hit_rate, means),
    }


def show(result: dict[str, Any]) -> None:
    """The table for people."""
    optimum = result["optimum"]
    print(
        f"\n{result['trace']}, {result['case']}: optimum {optimum['hit_rate']:.2%} of "
        f"{result['frames']}, {BAR:g} of it for {optimum['money_floor']:.2f} at the least"
    )
    print(f"{'policy':16}" + "".join(f"{name:>17}" for name in SHOWN))
    for row in result["policies"]:
        print(f"{row['policy']:16}" + "".join(f"{row[name]:17.4f}" for name in SHOWN))
    print("bar:", json.dumps(result["bar"]), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.0, help="of each trace; 0: all of it")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--coding", choices=("video", "tiles"), default="video")
    parser.add_argument("--out", type=Path, default=Path("bench/results/policies.json"))
    arguments = parser.parse_args()
    data = os.environ.get("MASTRA_DATA")
    if not data or not (Path(data) / "traces").is_dir():
        parser.error("MASTRA_DATA: expected the folder that holds traces/")
    folder = Path(data) / "traces"
    started = time.monotonic()
    results = []
    with ProcessPoolExecutor(arguments.jobs) as pool:
        running = {
            (trace, case): [
                pool.submit(measure, folder, trace, case, arguments.seconds, seed, arguments.coding)
                for seed in range(1, arguments.seeds + 1)
            ]
            for trace in TRACES
            for case in CASES
        }
        for (trace, case), futures in running.items():
            results.append(summary(trace, case, [future.result() for future in futures]))
            show(results[-1])
    report = {
        "command": "python -m bench.policies",
        "seeds": arguments.seeds,
        "coding": arguments.coding,
        "sizes": {case: sizes_of(v["scene"], arguments.coding) for case, v in CASES.items()},
        "assumptions": (__doc__ or "").split("\n\n", 2)[2],
        "stages": str(load_stage_times()),
        "results": results,
        "took_s": round(time.monotonic() - started, 1),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(
        json.dumps(judged("policies", report), indent=2) + "\n", encoding="utf-8"
    )
    print(f"\nwritten: {arguments.out}, after {report['took_s']} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
