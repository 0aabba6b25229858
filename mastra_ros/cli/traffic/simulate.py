"""`mastra traffic simulate`: a closed loop of cameras, gateway and signals on SUMO's traffic."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ConfigError, RecordError
from ...pipeline.traffic.signals.named import DEFAULT, POLICIES, make_policy

if TYPE_CHECKING:
    from ...simulation.traffic.closed import Watched
    from ...simulation.traffic.scenario import Scenario
    from ...simulation.traffic.world import Outcome

HELP = """\
Drive the vehicles of a SUMO scenario, see them as a camera would, tell them as records to a
gateway, and show what its signal plans say. Prints the mean delay of all vehicles. Needs
pip install "mastra-ros[sumo]", and for the known scenarios pip install --no-deps sumo-rl."""

OWN = ("network", "actuated")
"""Run by SUMO itself: the program in the network, and its actuated control."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "scenario", help="cologne1, cologne3 or ingolstadt1 of RESCO, or a file NAME.sumocfg"
    )
    parser.add_argument(
        "--policy", choices=(*POLICIES, *OWN), default=DEFAULT, help="default: tuned"
    )
    parser.add_argument(
        "--sensing",
        choices=("camera", "perfect"),
        default="camera",
        help="camera: 100 m, one vehicle in ten missed, a second late; default: camera",
    )
    parser.add_argument("--seed", type=int, default=1, help="of SUMO; default: 1")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="seeds from --seed on")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="sets",
        metavar="PARAMETER=NUMBER",
        help="a parameter of the policy; may be given again",
    )
    parser.add_argument(
        "--scenarios", type=Path, metavar="DIR", help="where RESCO's are; default: sumo-rl"
    )
    parser.add_argument("--duration", type=int, metavar="S", help="of the scenario; default: all")
    parser.add_argument(
        "--all-red", type=float, default=None, metavar="S", help="after yellow; default: 0"
    )
    parser.add_argument(
        "--blind-from",
        type=float,
        default=float("inf"),
        metavar="S",
        help="from then on no camera sees anything: the static plan must take over",
    )
    parser.add_argument(
        "--direct",
        action="store_true",
        help="without a gateway and its session: the same decisions, in seconds",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    """Simulate and print."""
    from ...simulation.traffic.scenario import find_scenario, read_scenario

    parameters = _parameters(args.sets)
    if args.policy not in OWN:
        with _as_config_error():
            make_policy(args.policy, parameters)
    if args.runs < 1 or (args.duration is not None and args.duration < 1):
        raise ConfigError("expected --runs and --duration of at least 1")
    scenario = read_scenario(find_scenario(args.scenario, args.scenarios))
    if args.duration is not None:
        end_s = min(scenario.end_s, scenario.begin_s + args.duration)
        scenario = dataclasses.replace(scenario, end_s=end_s)
    for seed in range(args.seed, args.seed + args.runs):
        outcome, watched = _run(args, scenario, seed, parameters)
        print(_line(args.format, outcome, watched), flush=True)
    return 0


def _run(
    args: argparse.Namespace, scenario: Scenario, seed: int, parameters: dict[str, float]
) -> tuple[Outcome, Watched]:
    from ...simulation.traffic.closed import Watched, run_closed
    from ...simulation.traffic.programs import run_own
    from ...simulation.traffic.sensing import SENSINGS

    watched = Watched()
    if args.policy in OWN:
        return run_own(scenario, args.policy, seed), watched
    with contextlib.ExitStack() as stack:
        cloud = None
        if not args.direct:
            from .session import open_session

            cloud = stack.enter_context(
                open_session(scenario, SENSINGS[args.sensing], args.policy, parameters)
            )
        outcome = run_closed(
            scenario,
            lambda _: make_policy(args.policy, parameters),
            seed,
            SENSINGS[args.sensing],
            cloud=cloud,
            name=args.policy,
            all_red_s=args.all_red,
            sees=(0.0, args.blind_from),
            watched=watched,
        )
    return outcome, watched


def _line(form: str, outcome: Outcome, watched: Watched) -> str:
    if form == "json":
        return json.dumps({**dataclasses.asdict(outcome), **dataclasses.asdict(watched)})
    text = (
        f"{outcome.scenario} {outcome.policy} ({outcome.sensing}) seed {outcome.seed}: "
        f"delay {outcome.delay_s:.1f} s a vehicle of {outcome.vehicles}, worst "
        f"{outcome.worst_s:.0f} s; {outcome.unfinished} under way at the end, "
        f"{outcome.undeparted} never departed"
    )
    whole_s = watched.by_plan_s + watched.by_static_s
    if whole_s:
        text += f"; under a plan {100 * watched.by_plan_s / whole_s:.0f} % of the time"
    return text + ("; GRIDLOCK" if outcome.gridlocked else "")


def _parameters(sets: list[str]) -> dict[str, float]:
    values = {}
    for text in sets:
        name, _, value = text.partition("=")
        try:
            values[name] = float(value)
        except ValueError:
            raise ConfigError(f"--set: expected PARAMETER=NUMBER, got {text!r:.80}") from None
    return values


@contextlib.contextmanager
def _as_config_error():  # type: ignore[no-untyped-def]
    try:
        yield
    except RecordError as error:
        raise ConfigError(str(error)) from None
