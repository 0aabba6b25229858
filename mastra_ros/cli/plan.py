"""`mastra plan`: what a site needs and costs a month, and where Mastra saves how much."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..planning import (
    Cell,
    Models,
    Needs,
    Plan,
    Prices,
    Strategy,
    load_prices,
    make_plan,
    measured_ms,
    sweep,
)
from ..planning.sweep import SAVING
from ..share import share_file
from .measured import add_measured, cloud_views
from .output import check_output, write_json

HELP = """\
From cameras, frames, uplink, the accuracy that may be lost and a file of prices: what
the devices must compute, how many servers are needed, and the cost a month of doing
all on the devices, all on servers, and Mastra; then check over sites of many sizes
where Mastra costs 30 % less than all on servers. Prices are assumptions to be edited:
see config/prices.yaml."""
EXAMPLE = "mastra plan --cameras 16 --rate 15 --uplink 200 --points 1"
PRICES = "config/prices.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    need = Needs()
    parser.add_argument("--cameras", type=int, default=need.cameras, help="default: %(default)s")
    parser.add_argument("--width", type=int, default=need.width_px, metavar="PX", help="of a frame")
    parser.add_argument(
        "--height", type=int, default=need.height_px, metavar="PX", help="of a frame"
    )
    parser.add_argument(
        "--rate", type=float, default=need.rate_hz, metavar="FPS", help="frames a second a camera"
    )
    parser.add_argument(
        "--hours", type=float, default=need.hours_per_day, help="hours a day; default: %(default)s"
    )
    parser.add_argument(
        "--uplink", type=float, default=need.uplink_mbit, metavar="MBIT", help="of the whole site"
    )
    parser.add_argument(
        "--rtt", type=float, default=need.rtt_ms, metavar="MS", help="to the gateway"
    )
    parser.add_argument(
        "--deadline", type=float, default=need.deadline_ms, metavar="MS", help="for a result"
    )
    accuracy = parser.add_mutually_exclusive_group()
    accuracy.add_argument(
        "--points",
        type=float,
        default=need.points_lost_max,
        help="points (hundredths) of accuracy that may be lost; default: %(default)s",
    )
    accuracy.add_argument(
        "--floor",
        type=float,
        metavar="X",
        help="accuracy to keep while the gateway can be reached, 0 to 1, instead of --points",
    )
    parser.add_argument("--bundle", default="models/board_defects", help="whose models are run")
    for name, what in (
        ("local-accuracy", "0 to 1, instead of the bundle's F on the device"),
        ("cloud-accuracy", "0 to 1, instead of the bundle's F on the gateway"),
        ("local-ms", "ms a frame on one core, instead of the bundle's"),
        ("cloud-ms", "ms a frame on one core, instead of the bundle's"),
    ):
        parser.add_argument(f"--{name}", type=float, metavar="X", help=what)
    add_measured(parser, "the bundle's")
    parser.add_argument("--prices", type=Path, metavar="FILE", help=f"default: {PRICES}")
    parser.add_argument("--no-sweep", action="store_true", help="this site only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it all as JSON")


def run(args: argparse.Namespace) -> int:
    """Plan and print."""
    check_output(args.json, "--json")
    path = args.prices or share_file(PRICES)
    prices, models = load_prices(path), _models(args)
    needs = Needs(
        cameras=args.cameras,
        width_px=args.width,
        height_px=args.height,
        rate_hz=args.rate,
        hours_per_day=args.hours,
        uplink_mbit=args.uplink,
        rtt_ms=args.rtt,
        deadline_ms=args.deadline,
        points_lost_max=args.points if args.floor is None else _points(args.floor, models),
    )
    plan = make_plan(needs, models, prices)
    cells = [] if args.no_sweep else list(sweep(needs, models, prices))
    print(describe(plan, models, prices, str(path)))
    if cells:
        print(f"\n{describe_sweep(cells, needs, prices)}")
    if args.json:
        write_json(args.json, to_dict(plan, models, prices, cells))
    return 0


def _points(floor: float, models: Models) -> float:
    """The points of accuracy that may be lost for this floor; ConfigError if it is too high."""
    if not 0 <= floor <= models.cloud_accuracy:
        raise ConfigError(
            f"--floor: expected 0 to {models.cloud_accuracy:g}, as much as the gateway's model "
            f"reaches, got {floor:g}"
        )
    return 100 * (models.cloud_accuracy - floor)


def _models(args: argparse.Namespace) -> Models:
    told_ms = measured_ms(args.measured, partial(cloud_views, args.bundle))
    local_ms = told_ms.get("local") if args.local_ms is None else args.local_ms
    cloud_ms = told_ms.get("cloud") if args.cloud_ms is None else args.cloud_ms
    given = {
        "local": {"f_score": args.local_accuracy, "latency_ms_1_thread": local_ms},
        "cloud": {"f_score": args.cloud_accuracy, "latency_ms_1_thread": cloud_ms},
    }
    if any(value is None for values in given.values() for value in values.values()):
        from ..inference import load_bundle

        bundle = load_bundle(args.bundle)
        for name, values in given.items():
            measured = bundle.part(name).measurements
            missing = [f for f, value in values.items() if value is None and f not in measured]
            if missing:
                raise ConfigError(
                    f"{bundle.path}: {name} has no measurement of {', '.join(missing)}; measure "
                    f"it, or give --{name}-accuracy and --{name}-ms"
                )
            values.update({f: measured[f] for f, value in values.items() if value is None})
    local, cloud = given["local"], given["cloud"]
    return Models(
        Path(args.bundle).name,
        float(local["f_score"]),
        float(cloud["f_score"]),
        float(local["latency_ms_1_thread"]),
        float(cloud["latency_ms_1_thread"]),
    )


def describe(plan: Plan, models: Models, prices: Prices, path: str) -> str:
    """The plan of one site, for people."""
    needs, mastra = plan.needs, plan.mastra
    ways = (plan.all_local, plan.all_cloud, mastra)

    def row(name: str, values: Sequence[str]) -> str:
        return f"  {name:34s}" + "".join(f"{value:>14s}" for value in values)

    def latency(way: Strategy) -> str:
        return f"{way.latency_ms:.0f} ms" if math.isfinite(way.latency_ms) else "-"

    def money(name: str) -> list[str]:
        return [f"{getattr(way, name):,.0f}" for way in ways]

    lines = [
        (
            f"{needs.cameras} cameras of {needs.width_px}x{needs.height_px} at {needs.rate_hz:g}/s"
            f", {needs.hours_per_day:g} h a day, uplink {needs.uplink_mbit:g} Mbit/s, round trip "
            f"{needs.rtt_ms:g} ms, deadline {needs.deadline_ms:g} ms"
        ),
        (
            f"{models.name}: accuracy {models.local_accuracy:.3f} on the device, "
            f"{models.cloud_accuracy:.3f} on the gateway; {models.local_ms:g} and "
            f"{models.cloud_ms:g} ms a frame on one core"
        ),
        "",
        row("", ["all local", "all cloud", "Mastra"]),
        row("frames sent", [f"{way.sent_share:.0%}" for way in ways]),
        row("expected accuracy", [f"{way.accuracy:.3f}" for way in ways]),
        row("a device's cores busy", [f"{way.device_load:.0%}" for way in ways]),
        row("servers", [str(way.servers) for way in ways]),
        row("uplink busy", [f"{way.uplink_load:.0%}" for way in ways]),
        row("result of the gateway after", [latency(way) for way in ways]),
        row("devices", money("devices_cost")),
        row("electricity of the devices", money("energy_cost")),
        row("servers", money("servers_cost")),
        row("traffic", money("traffic_cost")),
        row(f"{prices.currency} a month", money("cost")),
    ]
    lines += [
        f"  {way.name} cannot be: {'; '.join(way.obstacles)}" for way in ways if way.obstacles
    ]
    lines += ["", f"  {verdict(plan)}", "", "Assumptions:"]
    lines += [f"  {line}" for line in assumptions(prices, path)]
    return "\n".join(lines)


def verdict(plan: Plan) -> str:
    """Whether the claim holds for this site."""
    if math.isnan(plan.saving):
        return "The claim cannot be checked here: one of the ways cannot be done."
    holds = plan.saving >= SAVING and plan.points_lost <= plan.needs.points_lost_max + 1e-9
    much = f"{abs(plan.saving):.0%} {'less' if plan.saving >= 0 else 'more'} than all cloud"
    lost = f"{max(plan.points_lost, 0.0):.1f} points of accuracy lost"
    return f"Mastra costs {much}, {lost}: {SAVING:.0%} less {'holds' if holds else 'fails'} here."


def assumptions(prices: Prices, path: str) -> list[str]:
    """What the numbers rest on."""
    with_model, without, server = (
        prices.device_with_model,
        prices.device_without_model,
        prices.server,
    )
    curve = ", ".join(f"{share:.0%} -> {gain:.0%}" for share, gain in prices.escalation)
    return [
        f"prices of {path}, as of {prices.as_of}: assumptions, no vendor's quotation",
        (
            f"a device {with_model.price:g} {prices.currency} with a model "
            f"({with_model.power_w:g} W, {with_model.cores:g} cores), {without.price:g} without "
            f"({without.power_w:g} W); {with_model.life_years:g} and {without.life_years:g} years"
        ),
        (
            f"a server {server.price_hour:g} {prices.currency} an hour, always on, "
            f"{server.cores:g} cores, each {server.speed:g} times the core that measured the bundle"
        ),
        (
            f"traffic {prices.uplink_per_gb:g} + {prices.ingress_per_gb:g} {prices.currency}/GB, "
            f"electricity {prices.electricity_per_kwh:g} {prices.currency}/kWh"
        ),
        (
            f"nothing busier than {prices.load_max:.0%}; the gateway is reached "
            f"{prices.link_availability:.1%} of the time"
        ),
        (
            f"{prices.stream_bytes_per_px:g} bytes a px where all frames are sent, "
            f"{prices.single_bytes_per_px:g} where some are"
        ),
        f"frames sent -> part of the accuracy that the gateway can add: {curve}",
        "not counted: development, installation, cameras, networks, storage, people",
    ]


def describe_sweep(cells: Sequence[Cell], needs: Needs, prices: Prices) -> str:
    """A table for each price of the uplink: cameras down, frames a second across."""
    rates = sorted({cell.rate_hz for cell in cells})
    held = sum(cell.holds for cell in cells)
    lines = [
        (
            f"Saving against all cloud at no more than {needs.points_lost_max:g} points lost "
            f"(* {SAVING:.0%} or more, - not possible):"
        )
    ]
    for price in sorted({cell.uplink_per_gb for cell in cells}):
        lines.append(f"\n  uplink {price:g} {prices.currency}/GB")
        lines.append(f"  {'cameras':>8s}" + "".join(f"{f'{rate:g}/s':>9s}" for rate in rates))
        mine = [cell for cell in cells if cell.uplink_per_gb == price]
        for count in sorted({cell.cameras for cell in mine}):
            by_rate = {cell.rate_hz: cell for cell in mine if cell.cameras == count}
            lines.append(f"  {count:8d}" + "".join(f"{_cell(by_rate[r]):>9s}" for r in rates))
    reasons = sorted({r for cell in cells for r in cell.why_not.split("; ") if r})
    lines.append(f"\n  It holds at {held} of {len(cells)} sites.")
    lines += [f"  not possible: {reason}" for reason in reasons[:5]]
    return "\n".join(lines)


def _cell(cell: Cell) -> str:
    if math.isnan(cell.saving):
        return "-"
    return f"{cell.saving:.0%}{'*' if cell.holds else ' '}"


def to_dict(plan: Plan, models: Models, prices: Prices, cells: Sequence[Cell]) -> dict[str, Any]:
    """Everything, ready for JSON."""

    def plain(values: dict[str, Any]) -> dict[str, Any]:
        return {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in values.items()
        }

    ways = (plan.all_local, plan.all_cloud, plan.mastra)
    return {
        "needs": asdict(plan.needs),
        "models": asdict(models),
        "prices": asdict(prices),
        "ways": {way.name: {**plain(asdict(way)), "cost": way.cost} for way in ways},
        "saving": None if math.isnan(plan.saving) else plan.saving,
        "points_lost": plan.points_lost,
        "verdict": verdict(plan),
        "sweep": [{**plain(asdict(cell)), "holds": cell.holds} for cell in cells],
    }
