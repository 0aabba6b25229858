"""`mastra simulate`: policies on recorded links, faster than real time."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from ..config import SchedulingConfig, build
from ..config.files import apply_sets, check, load_parameters
from ..errors import ConfigError
from ..figures import prepare_folder
from ..share import share_file
from .measured import add_measured, cloud_views
from .output import check_output_folder

HELP = """\
Run the scheduler, the very one of the node, on a recorded link and load, and compare policies:
frames in time, accuracy, energy, money, switches, and the regret against an offline optimum that
knows the future. The same seed gives the same numbers."""
EXAMPLE = "mastra simulate LTE.up --load bursts --duration 120 --policies dta,latency"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "traces",
        nargs="+",
        type=Path,
        metavar="TRACE",
        help="NAME.up beside NAME.down (Mahimahi), or a CSV of time_s, rtt_ms, loss, rate_bps",
    )
    parser.add_argument("--policies", default="", metavar="A,B", help="default: all, and baselines")
    parser.add_argument("--duration", type=float, default=60.0, metavar="S", help="default: 60")
    parser.add_argument("--rate", type=float, default=10.0, metavar="FPS", help="default: 10")
    parser.add_argument(
        "--deadline", type=float, default=150.0, metavar="MS", help="of a result; default: 150"
    )
    parser.add_argument(
        "--rtt", type=float, default=40.0, metavar="MS", help="of the empty link; default: 40"
    )
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    parser.add_argument(
        "--load", default="none", help="what else the device does: none, bursts, or a CSV"
    )
    parser.add_argument(
        "--gateway-load", default="none", help="what else the gateway does: none, bursts, or a CSV"
    )
    parser.add_argument("--stages", type=Path, metavar="FILE", help="times and sizes, YAML or JSON")
    add_measured(parser, "those of --stages")
    parser.add_argument("--prices", type=Path, metavar="FILE", help="default: config/prices.yaml")
    parser.add_argument(
        "--accuracy", type=Path, metavar="FILE", help="measured samples, CSV; else the F-scores"
    )
    parser.add_argument("--bundle", default="models/board_defects", help="whose F-scores are taken")
    parser.add_argument("--params", type=Path, metavar="FILE", help="a parameter file")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="sets",
        metavar="scheduling.PARAMETER=VALUE",
        help="change one parameter of the scheduler; may be given again",
    )
    parser.add_argument(
        "--format", choices=("text", "json", "csv"), default="text", help="how to print it"
    )
    parser.add_argument("--plot", type=Path, metavar="DIR", help="write a PNG for each trace there")


def run(args: argparse.Namespace) -> int:
    """Simulate and print."""
    # Imported here, so that `mastra --help` needs no numpy.
    from ..planning import load_prices, measured_ms
    from ..simulation.accuracy import AccuracyTable
    from ..simulation.compare import CHOICES, compare, to_csv, to_json, to_text
    from ..simulation.plots import plot
    from ..simulation.stage_times import load_stage_times
    from ..simulation.trace import open_trace
    from ..simulation.world import Scenario

    for name, low, high in (("duration", 0.1, 1e5), ("rate", 0.01, 1000.0), ("rtt", 0.0, 1e4)):
        if not low <= getattr(args, name) <= high:
            raise ConfigError(
                f"--{name}: expected {low:g} to {high:g}, got {getattr(args, name):g}"
            )
    check_output_folder(args.plot, "--plot")
    prepare_folder(args.plot)
    values = load_parameters(args.params) if args.params else {}
    values = apply_sets(values, [*args.sets, f"scheduling.deadline_ms={args.deadline}"])
    check(values)
    config = build(SchedulingConfig, values.get("scheduling", {}))
    names = [n.strip() for n in args.policies.split(",")] if args.policies else list(CHOICES)
    prices = load_prices(args.prices or share_file("config/prices.yaml"))
    stages = load_stage_times(args.stages)
    told_ms = measured_ms(args.measured, partial(cloud_views, args.bundle))
    measured: dict[str, Any] = {f"{place}_ms": spent for place, spent in told_ms.items()}
    stages = replace(stages, **measured)
    if args.accuracy:
        accuracy = AccuracyTable.read(args.accuracy)
    else:
        accuracy = AccuracyTable.from_f_scores(*f_scores(args.bundle))
    told: list[Any] = []
    for path in args.traces:
        scenario = Scenario(
            trace=open_trace(path, args.rtt, args.seed),
            stages=stages,
            accuracy=accuracy,
            load=_load(args.load, args.duration, args.seed),
            gateway_load=_load(args.gateway_load, args.duration, args.seed + 1),
            rate_hz=args.rate,
            duration_s=args.duration,
            deadline_ms=args.deadline,
            seed=args.seed,
        )
        optimum, rows = compare(scenario, config, names, prices)
        if args.format == "text":
            print(to_text(scenario, optimum, rows, prices.currency), flush=True)
        elif args.format == "csv":
            text = to_csv(scenario, rows)
            print(text if not told else text.split("\n", 1)[1], end="")
        told.append(to_json(scenario, optimum, rows))
        if args.plot:
            picture = args.plot / f"{scenario.trace.name}.png"
            plot(picture, scenario.trace.name, optimum, rows, prices.currency)
    if args.format == "json":
        print(json.dumps(told, indent=2))
    return 0


def f_scores(bundle: str) -> tuple[float, float, str]:
    """F of the device's and the gateway's model by the bundle's measurements, else the parameters'.

    The third value says which.
    """
    folder = Path(bundle) if Path(bundle).is_dir() else share_file(bundle)
    try:
        content = yaml.safe_load((folder / "bundle.yaml").read_text(encoding="utf-8"))
        parts = {part: content["parts"][part]["measurements"] for part in ("local", "cloud")}
        found = [float(parts[part]["f_score"]) for part in ("local", "cloud")]
        return found[0], found[1], f"F-scores of {folder.name}"
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        default = build(SchedulingConfig, {})
        return default.accuracy_local, default.accuracy_cloud, "assumed, nothing measured"


def _load(name: str, seconds: float, seed: int) -> Any:
    from ..simulation.load_trace import LoadTrace

    if name == "none":
        return LoadTrace()
    if name == "bursts":
        return LoadTrace.bursts(seconds, seed)
    return LoadTrace.read(Path(name))
