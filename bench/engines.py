"""Times every engine on every network of this machine, in turn, and holds them against the bars.

    python -m bench.engines [--json FILE] [--runs 9] [--quick] [--data DIR]
    python -m bench.engines --pack DIR      # what it needs of the data, to take along
    python -m bench.engines --merge FILE    # add another machine's results to bench/results

Needs openvino, onnxruntime, ai-edge-litert, numpy, opencv-python-headless and PyYAML, and no ROS.
MASTRA_DATA (or --data) names the data: deeppcb/ and models/; without them only times are taken.
One thread unless told otherwise. Each run is of all engines in turn; the second judges what `auto`
chose after the first. Other processors are stood for by ONEDNN_MAX_CPU_ISA, in processes of their
own, which bounds OpenVINO alone: ONNX Runtime and LiteRT go on using all there is.
python -m bench.models_table writes the table in docs/models.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.bars import judged
from bench.engines_data import DEVICE, GATEWAY, Network, accuracies, networks, pack
from bench.engines_profile import machine, profile
from mastra_ros.inference import Engine, EngineOptions, load_bundle
from mastra_ros.inference.choosing.candidates import candidates_of
from mastra_ros.inference.choosing.decide import decide
from mastra_ros.inference.choosing.measure import measure

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench/results/engines.json"
CAP = "ONEDNN_MAX_CPU_ISA"
CAPS = ("AVX512_CORE_BF16", "AVX512_CORE_VNNI", "AVX512_CORE")
"""Stand for: no AMX; VNNI alone; neither."""
ROUND_MS = 30.0
"""A round of one engine lasts about so long, in as many frames as fit."""

BUDGET_S = 60.0
"""For the choice, so that it is the choice that is judged, and not whether 5 s were enough."""

Report = dict[str, Any]


def in_turn(loops: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """ms a frame of each, in rounds of all of them one after the other."""
    count = {}
    for name, loop in loops.items():
        loop()
        started = time.perf_counter()
        loop()
        spent_ms = (time.perf_counter() - started) * 1e3
        count[name] = max(1, round(ROUND_MS / max(spent_ms, 0.01)))
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds):
        for name, loop in loops.items():
            started = time.perf_counter()
            for _ in range(count[name]):
                loop()
            times[name].append((time.perf_counter() - started) * 1e3 / count[name])
    return times


def loops_of(
    engines: dict[str, Engine], network: Network, batch: int
) -> dict[str, Callable[[], object]]:
    """Each engine on its own input, once for the batch or once a frame."""
    loops: dict[str, Callable[[], object]] = {}
    for name, engine in engines.items():
        tensor = network.tensor(engine, batch)
        times = 1 if engine.inputs[0].shape[0] is None else batch

        def loop(engine: Engine = engine, tensor: Any = tensor, times: int = times) -> None:
            for _ in range(times):
                engine.run(tensor)

        loops[name] = loop
    return loops


def told(times: dict[str, list[float]], batch: int) -> Report:
    """Median and least time, ms a frame."""
    return {
        name: {
            "p50_ms": round(float(np.median(values)) / batch, 3),
            "min_ms": round(min(values) / batch, 3),
        }
        for name, values in times.items()
    }


def time_network(
    network: Network, threads: Sequence[int], batches: Sequence[int], runs: int
) -> list[Report]:
    """All forms of a network by threads and batch."""
    rows = []
    for count in threads:
        engines = network.open(count)
        for batch in batches if network.batches else (1,):
            if batch > 1 and count > 1:
                continue
            row = told(in_turn(loops_of(engines, network, batch), runs), batch)
            rows.append({"threads": count, "batch": batch, "forms": row})
            line = ", ".join(f"{name} {one['p50_ms']:.2f}" for name, one in row.items())
            print(f"{network.name}, {count} threads, batch {batch}: {line} ms", flush=True)
        for engine in engines.values():
            engine.close()
    return rows


def judge_auto(name: str, parts: Sequence[str], network: Network, runs: int) -> Report:
    """What `auto` chooses, and in a second run how much slower that is than the best installed."""
    bundle = load_bundle(str(ROOT / "models/board_defects")).in_one_view()
    trials = measure(bundle, candidates_of(bundle, parts), EngineOptions(), budget_s=BUDGET_S)
    choice = decide(bundle, trials)
    if choice is None:
        return {"chosen": "", "problem": "nothing could be measured in time"}
    engines = network.open(1)
    again = told(in_turn(loops_of(engines, network, 1), runs), 1)
    for engine in engines.values():
        engine.close()
    chosen = network.form_of(choice.candidate.part, choice.candidate.engine)
    installed = {form: again[form]["p50_ms"] for form in network.default_forms if form in again}
    best = min(installed, key=lambda form: installed[form])
    ratio = round(installed[chosen] / installed[best], 4)
    print(f"{name}: auto chose {choice}; best {best}, ratio {ratio}", flush=True)
    return {
        "chosen": chosen,
        "told": str(choice),
        "second_run": again,
        "best": best,
        "ratio": ratio,
    }


def run_here(args: argparse.Namespace, cap: str) -> Report:
    """Everything under one cap of instructions; "" is the processor as it is."""
    data = Path(args.data) if args.data else None
    found = networks(data)
    threads, batches = ((1,), (1,)) if cap or args.quick else ((1, 2), (1, 4, 8))
    chosen = {name: one for name, one in found.items() if not cap or name in (GATEWAY, DEVICE)}
    report: Report = {"cap": cap, "networks": {}}
    for name, network in chosen.items():
        rows = time_network(network, threads, batches, args.runs)
        report["networks"][name] = {"rows": rows}
    for name, parts in ((GATEWAY, ("cloud", "cloud_int8")), (DEVICE, ("local",))):
        own = report["networks"][name]
        own["auto"] = judge_auto(name, parts, found[name], args.runs)
        own["profile"] = profile(found[name])
        if data is not None and not args.quick:
            own["f_score"] = accuracies(found[name], data)
            print(f"{name}: F {own['f_score']}", flush=True)
    return report


def run_capped(args: argparse.Namespace, cap: str) -> Report | None:
    """The same in a process that is told to leave instructions unused."""
    command = [sys.executable, "-m", "bench.engines", "--cap", cap, "--runs", str(args.runs)]
    command += ["--data", args.data] if args.data else []
    command += ["--quick"] if args.quick else []
    print(f"-- {CAP}={cap}", flush=True)
    done = subprocess.run(
        command, env={**os.environ, CAP: cap}, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    print(done.stdout.rpartition("\n{")[0], flush=True)
    if done.returncode:
        print(f"{cap}: ended with status {done.returncode}", flush=True)
        return None
    report: Report = json.loads("{" + done.stdout.rpartition("\n{")[2])
    return report


def merged(machines: Sequence[Report], before: Report) -> Report:
    """The results with these machines added, each instead of an older one of the same processor."""
    names = {one["machine"]["name"] for one in machines}
    kept = [one for one in before.get("machines", []) if one["machine"]["name"] not in names]
    return judged("engines", {"machines": [*kept, *machines]})


def main() -> None:
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=RESULTS)
    parser.add_argument("--data", default=os.environ.get("MASTRA_DATA", ""))
    parser.add_argument("--runs", type=int, default=11, help="rounds of all engines, at least 9")
    parser.add_argument("--quick", action="store_true", help="one thread, no accuracy")
    parser.add_argument("--pack", type=Path, metavar="DIR")
    parser.add_argument("--merge", type=Path, metavar="FILE")
    parser.add_argument("--cap", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.runs = max(args.runs, 9)
    if args.pack:
        pack(Path(args.data), args.pack)
        return
    if args.cap:
        report = run_here(args, args.cap)
        print("\n" + json.dumps(report), flush=True)
        return
    before = json.loads(args.json.read_text()) if args.json.is_file() else {}
    if args.merge:
        machines = json.loads(args.merge.read_text())["machines"]
    else:
        about = machine()
        print(json.dumps(about), flush=True)
        runs = [run_here(args, "")]
        capped = [run_capped(args, cap) for cap in CAPS if cap in about["caps"]]
        runs += [one for one in capped if one is not None]
        machines = [{"machine": about, "runs": runs}]
    document = merged(machines, before)
    args.json.write_text(json.dumps(document, indent=2) + "\n")
    for bar in document["bars"]:
        print(f"{'holds' if bar['holds'] else 'FAILS'}  {bar['name']} {bar['bar']}: {bar['value']}")


if __name__ == "__main__":
    main()
