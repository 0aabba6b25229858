"""Signal timing on SUMO: our policy with perfect and camera-limited sensing, beside the others.

    python -m bench.traffic_signals [--parts tune run] [--scenarios DIR] [--workers 2]
                                    [--out bench/results/traffic_signals.json]

tune   the search on seeds 100 to 109 (bench/traffic_tuning.py), whose result is kept in the file
       and used from then on. Fixed time and SUMO's actuated control are tuned to each scenario, our
       policy has one set of parameters for all of them
run    seeds 1 to 20 with what was frozen: delay (time loss and departure delay of all vehicles,
       also those that did not arrive or never departed; nobody is teleported out of a jam), each
       seed beside the same seed of the better of the two that were tuned
Needs pip install ".[sumo]" and pip install --no-deps sumo-rl. A run takes 0.5 to 2 s of one core.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import multiprocessing
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bench.traffic_baselines as baselines
from bench.bars import judged
from bench.traffic_ours import BEGIN, RANGES, cost, parameters
from bench.traffic_tuning import SEEDS, tune
from mastra_ros.pipeline.traffic.signals.named import make_policy
from mastra_ros.simulation.traffic.closed import run_closed
from mastra_ros.simulation.traffic.programs import run_own, run_programs
from mastra_ros.simulation.traffic.scenario import RESCO, Scenario, find_scenario, read_scenario
from mastra_ros.simulation.traffic.sensing import CAMERA, PERFECT, SENSINGS
from mastra_ros.simulation.traffic.world import Outcome

OUT = Path(__file__).resolve().parent / "results" / "traffic_signals.json"
TEST_SEEDS = tuple(range(1, 21))
BESIDE_SEEDS = tuple(range(1, 4))
"""Of what is shown without being held against anything: untuned policies, and no sensing at all."""
T_975 = {2: 4.303, 4: 2.776, 9: 2.262, 15: 2.131, 18: 2.101, 19: 2.093}
"""Student's t, by degrees of freedom; the next lower one that is known."""
TUNED = ("fixed", "actuated")
Job = tuple[str, str, str, int]  # scenario, policy, sensing, seed

_folder: Path | None = None
_frozen: dict[str, Any] = {}


def one_run(job: Job) -> Outcome:
    """One run, in any process."""
    name, policy, sensing, seed = job
    scenario = read_scenario(find_scenario(name, _folder))
    if policy in TUNED:
        xml = getattr(baselines, f"{policy}_xml")(scenario, _frozen[policy][name]["point"])
        return run_programs(scenario, policy, seed, xml)
    if policy == "network":
        return run_own(scenario, policy, seed)
    values = _frozen["ours"]["parameters"] if policy == "ours" else {}
    named = {"ours": "fullest", "plain": "fullest", "static": "fixed"}.get(policy, policy)
    sees = (0.0, 0.0) if sensing == "blind" else (0.0, math.inf)
    outcome = run_closed(
        *(scenario, lambda _: make_policy(named, values), seed),
        CAMERA if sensing == "blind" else SENSINGS[sensing],
        name=policy,
        sees=sees,
    )
    return dataclasses.replace(outcome, sensing=sensing)


def tune_one(job: tuple[str, str]) -> dict[str, Any]:
    """The search for one policy on one scenario, or of ours on all."""
    policy, name = job
    if policy == "ours":
        scenarios = [read_scenario(find_scenario(one, _folder)) for one in RESCO]
        found = tune(
            len(RANGES),
            lambda point, seed: _ours(scenarios, parameters(point), seed),
            begin=BEGIN,
            raced=1,
            tell=print,
        )
        told: dict[str, Any] = {"parameters": parameters(found.point)}
    else:
        scenario = read_scenario(find_scenario(name, _folder))
        found = tune(
            getattr(baselines, f"{policy}_dimensions")(scenario),
            lambda point, seed: (
                run_programs(
                    scenario, policy, seed, getattr(baselines, f"{policy}_xml")(scenario, point)
                ).delay_s
            ),
            begin=getattr(baselines, f"{policy}_begin")(scenario),
            tell=lambda text: print(name, policy, text, flush=True),
        )
        told = {"point": list(found.point), "mean_s": round(found.mean_s, 3)}
    return {**told, "trials": found.trials, "runs": found.runs}


def _ours(scenarios: Sequence[Scenario], values: dict[str, float], seed: int) -> float:
    return sum(cost(scenarios, values, seed, one) for one in (CAMERA, PERFECT)) / 2


def tune_all(pool: Any) -> dict[str, Any]:
    """What is frozen, by policy and scenario."""
    jobs = [(policy, name) for policy in TUNED for name in RESCO]
    found = pool.map(tune_one, [*jobs, ("ours", "")], chunksize=1)
    frozen: dict[str, Any] = {"seeds": [SEEDS[0], SEEDS[-1]], "ours": found[-1]}
    for (policy, name), told in zip(jobs, found, strict=False):
        frozen.setdefault(policy, {})[name] = told
    return frozen


def run_all(pool: Any) -> list[dict[str, Any]]:
    """Rows of every policy, sensing and scenario."""
    wanted = [("fixed", "none"), ("actuated", "detectors"), ("ours", "perfect"), ("ours", "camera")]
    beside = [("network", "none"), ("plain", "camera"), ("max_pressure", "perfect")]
    beside += [("webster", "camera"), ("static", "blind")]
    jobs = [(n, *one, seed) for n in RESCO for one in wanted for seed in TEST_SEEDS]
    jobs += [(n, *one, seed) for n in RESCO for one in beside for seed in BESIDE_SEEDS]
    outcomes = dict(zip(jobs, pool.map(one_run, jobs, chunksize=1), strict=True))
    return rows_of(outcomes, wanted, beside)


def rows_of(
    outcomes: dict[Job, Outcome],
    wanted: Sequence[tuple[str, str]],
    beside: Sequence[tuple[str, str]],
) -> list[dict[str, Any]]:
    """A row for each scenario, policy and sensing, beside the better of the two that were tuned.

    Better is who has the smaller median, for one jam decides a mean.
    """
    rows = []
    for name in RESCO:
        runs = {
            policy: [outcomes[name, policy, sensing, seed] for seed in TEST_SEEDS]
            for policy, sensing in wanted
            if policy in TUNED
        }
        better = min(runs, key=lambda one: statistics.median(run.delay_s for run in runs[one]))
        for policy, sensing in [*wanted, *beside]:
            seeds = TEST_SEEDS if (policy, sensing) in wanted else BESIDE_SEEDS
            done = [outcomes[name, policy, sensing, seed] for seed in seeds]
            base = runs[better][: len(seeds)]
            rows.append({"scenario": name, "better": better, **row(done, base)})
    return rows


def row(done: Sequence[Outcome], base: Sequence[Outcome]) -> dict[str, Any]:
    """Figures of one policy beside another on the same seeds.

    Seeds in which the other one jams are left out of the comparison, to its advantage.
    """
    delays = [one.delay_s for one in done]
    pairs = [
        (mine.delay_s, other.delay_s)
        for mine, other in zip(done, base, strict=True)
        if not other.gridlocked
    ]
    saved = [100 * (1 - mine / other) for mine, other in pairs]
    return {
        "policy": done[0].policy,
        "sensing": done[0].sensing,
        "seeds": len(done),
        "delay_s": round(statistics.fmean(delays), 3),
        "delay_ci_s": round(half_width(delays), 3),
        "median_s": round(statistics.median(delays), 3),
        "worst_seed_s": round(max(delays), 3),
        "compared_seeds": len(pairs),
        "saved_percent": round(statistics.fmean(saved), 2),
        "saved_ci_percent": round(half_width(saved), 2),
        "gridlocked": sum(one.gridlocked for one in done),
        "undeparted_max": max(one.undeparted for one in done),
        "emergencies_max": max(one.emergencies for one in done),
        "by_seed_s": [round(one, 2) for one in delays],
    }


def half_width(values: Sequence[float]) -> float:
    """Of the 95 % interval of a mean."""
    degrees = len(values) - 1
    known = max(one for one in T_975 if one <= degrees)
    return T_975[known] * statistics.stdev(values) / math.sqrt(len(values))


def begin(folder: Path | None, frozen: dict[str, Any]) -> None:
    """In each process."""
    global _folder, _frozen
    _folder, _frozen = folder, frozen


def main() -> int:
    """Tune, run, and write what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=("tune", "run"), default=["run"])
    parser.add_argument("--scenarios", type=Path, help="where RESCO's are; default: sumo-rl")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    kept = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
    context = multiprocessing.get_context("spawn")
    if "tune" in options.parts:
        with context.Pool(options.workers, begin, (options.scenarios, {})) as pool:
            kept["frozen"] = tune_all(pool)
            _write(options.out, kept)
    if "run" in options.parts:
        with context.Pool(options.workers, begin, (options.scenarios, kept["frozen"])) as pool:
            kept["rows"] = run_all(pool)
    _write(options.out, judged("traffic_signals", kept))
    return 0


def _write(path: Path, result: dict[str, Any]) -> None:
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
