"""`mastra probe`: how good the link to a gateway is, and what each policy would do now."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import BridgeConfig, GatewayConfig, SchedulingConfig, build
from ..config.files import load_parameters
from ..errors import ConfigError
from ..leftovers import temporary_folder
from ..scheduling.estimates.load import LoadSampler
from ..scheduling.policies.policy import POLICIES, make_policy
from ..types import LinkSample, LoadSample
from .output import check_output, write_json
from .report import percentile

HELP = """\
Measure the link to a gateway with a session of its own: set-up of TCP and TLS, round
trips idle and busy, loss, goodput up and down; then say what each policy would do with
this link and this device's load. Bounded: by default 2 s of heartbeats, and at most
3 s and 4 MiB each way. Sends no frames and stores nothing."""
EXAMPLE = "mastra probe wss://gateway.example:8443 --keys keys --device camera-1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("gateway", nargs="?", metavar="wss://HOST:PORT", help="the gateway")
    where.add_argument(
        "--embedded", action="store_true", help="start a gateway on loopback and probe that"
    )
    parser.add_argument("--keys", metavar="DIR", help="folder of keys; default: MASTRA_KEYS")
    parser.add_argument("--device", default="camera-1", metavar="NAME", help="default: camera-1")
    parser.add_argument("--proxy", default="", help="as bridge.proxy: environment, or HOST:PORT")
    parser.add_argument("--fault", default="", metavar="SPEC", help="with --embedded: a bad link")
    parser.add_argument("--idle", type=float, default=2.0, metavar="S", help="s of heartbeats")
    parser.add_argument("--busy", type=float, default=3.0, metavar="S", help="most s each way")
    parser.add_argument(
        "--bytes", type=int, default=4_194_304, metavar="N", help="most bytes each way"
    )
    parser.add_argument(
        "--params-file", metavar="FILE", help="parameters of scheduling, for the policies"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write it all as JSON")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from ..bridge.probe import Limits, probe_link

    check_output(args.json, "--json")
    for name, low, high in (("idle", 0.1, 60.0), ("busy", 0.1, 60.0), ("bytes", 1, 33_554_432)):
        if not low <= getattr(args, name) <= high:
            raise ConfigError(f"--{name}: expected {low:g} to {high:g}, got {getattr(args, name)}")
    if args.fault and not args.embedded:
        raise ConfigError("--fault: works on the link to the embedded gateway only")
    values = load_parameters(args.params_file).get("scheduling", {}) if args.params_file else {}
    scheduling = build(SchedulingConfig, values)
    sampler = LoadSampler(0.0)
    sampler.sample(time.monotonic_ns())
    with _bridge_config(args) as config:
        report = asyncio.run(probe_link(config, Limits(args.idle, args.busy, args.bytes)))
    load = sampler.sample(time.monotonic_ns()) or LoadSample(0, math.nan, math.nan)
    told = to_dict(report)
    told["load"] = {"cpu": number(load.cpu), "memory": number(load.memory)}
    told["policies"] = judge(scheduling, load, report.link())
    print(table(told))
    if args.json:
        write_json(args.json, told)
    return 0


@contextlib.contextmanager
def _bridge_config(args: argparse.Namespace) -> Iterator[BridgeConfig]:
    """How to reach the gateway; starts one of our own where wanted."""
    if not args.embedded:
        values = {"gateway": args.gateway, "device": args.device, "keys_dir": args.keys or ""}
        yield build(BridgeConfig, {**values, "proxy": args.proxy, "connect_timeout_s": 10.0})
        return
    from ..emulation import ShapingProxy, read_faults
    from ..gateway.embedded import EmbeddedGateway
    from ..protocol.keys import add_device, init_keys

    faults = read_faults(args.fault)
    with temporary_folder() as folder:
        keys = folder / "keys"
        init_keys(keys, own_audience=True)
        add_device(keys, args.device)
        bundles = GatewayConfig().bundles
        with (
            EmbeddedGateway(keys, bundles, state_dir=folder / "gateway") as gateway,
            ShapingProxy("127.0.0.1", gateway.port, faults) as proxy,
        ):
            yield build(
                BridgeConfig,
                {
                    "gateway": f"wss://127.0.0.1:{proxy.port}",
                    "device": args.device,
                    "keys_dir": str(keys),
                    "connect_timeout_s": 10.0,
                },
            )


def judge(
    scheduling: SchedulingConfig, load: LoadSample, link: LinkSample
) -> dict[str, dict[str, dict[str, str]]]:
    """What every policy would do now, coming from either route; none has any history."""
    told: dict[str, dict[str, dict[str, str]]] = {}
    for name in POLICIES:
        told[name] = {}
        for start in ("local", "cloud"):
            config = replace(scheduling, policy=name, start_route=start)
            decision = make_policy(config).decide(load, link, time.monotonic_ns())
            told[name][start] = {"route": decision.route.value, "reason": decision.reason}
    return told


def number(value: float, digits: int = 3) -> float | None:
    """For JSON, which knows no NaN."""
    return round(value, digits) if math.isfinite(value) else None


def to_dict(report: Any) -> dict[str, Any]:
    """A ProbeReport as plain values."""

    def spread(values: Sequence[float]) -> dict[str, Any]:
        return {
            "count": len(values),
            "min": number(min(values, default=math.nan)),
            "p50": percentile(values, 0.50),
            "p99": percentile(values, 0.99),
        }

    return {
        "gateway": report.gateway,
        "tls": report.tls,
        "tcp_ms": number(report.tcp_ms),
        "tls_ms": number(report.tls_ms),
        "hello_ms": number(max(report.hello_ms, 0.0)),
        "rtt_ms": spread(report.rtt_ms),
        "jitter_ms": number(report.jitter_ms),
        "loss": number(report.loss),
        "busy_up_rtt_ms": spread(report.busy_up_rtt_ms),
        "busy_down_rtt_ms": spread(report.busy_down_rtt_ms),
        "goodput_up_bps": number(report.goodput_up_bps, 0),
        "goodput_down_bps": number(report.goodput_down_bps, 0),
        "bytes_up": report.bytes_up,
        "bytes_down": report.bytes_down,
    }


def table(told: dict[str, Any]) -> str:
    """The report for people."""

    def ms(value: float | None) -> str:
        return "unknown" if value is None else f"{value:.1f} ms"

    def rate(name: str) -> str:
        value = told[f"goodput_{name}_bps"]
        if value is None:
            return "unknown: the gateway answers no probes"
        return f"{value / 1e6:.2f} Mbit/s ({told[f'bytes_{name}']:,} bytes)"

    rtt, up, down = told["rtt_ms"], told["busy_up_rtt_ms"], told["busy_down_rtt_ms"]
    cpu, memory = told["load"]["cpu"], told["load"]["memory"]
    rows = [
        ("gateway", told["gateway"]),
        ("TLS", told["tls"]),
        ("set-up: TCP", ms(told["tcp_ms"])),
        ("set-up: TLS", ms(told["tls_ms"])),
        ("set-up: WebSocket, token, hello", ms(told["hello_ms"])),
        (f"round trip p50 / p99 ({rtt['count']})", f"{ms(rtt['p50'])} / {ms(rtt['p99'])}"),
        ("jitter", ms(told["jitter_ms"])),
        ("heartbeats not answered in time", f"{told['loss']:.1%}"),
        ("goodput up", rate("up")),
        ("  round trip meanwhile p50 / p99", f"{ms(up['p50'])} / {ms(up['p99'])}"),
        ("goodput down", rate("down")),
        ("  round trip meanwhile p50 / p99", f"{ms(down['p50'])} / {ms(down['p99'])}"),
        ("load of this device", "unknown" if cpu is None else f"CPU {cpu:.0%}, RAM {memory:.0%}"),
    ]
    lines = [f"  {name:36s} {value}" for name, value in rows]
    lines += ["", "  policy       from local  from cloud  why (from cloud)"]
    for name, by_start in told["policies"].items():
        local, cloud = by_start["local"], by_start["cloud"]
        lines.append(f"  {name:12s} {local['route']:11s} {cloud['route']:11s} {cloud['reason']}")
    return "\n".join(lines)
