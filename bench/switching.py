"""How soon the device takes over when the way to the gateway breaks, and what is lost: nothing.

    ROS_DOMAIN_ID=77 python -m bench.switching [--cuts 20] [--out bench/results/switching.json]

Frames of 640x480 flow at 30/s through the real nodes, DDS and TLS to a gateway process behind
the shaping proxy. Then, again and again, the way is cut at a random moment: link down without
FIN, reset, stall, gateway SIGSTOP, gateway SIGKILL, rate collapse to 20 kbit/s. All nodes in one
process first, then each in a process of its own. Per kind:

- first_local_ms: from the cut to the first result computed on the device for a frame captured
  after the cut, as a subscriber of `result` sees it. `optimum_ms` is what a device could do that
  waits for the deadline, then infers. A device that doubts a silent gateway may be sooner.
- gap_ms: the longest time without any result, from the cut until the gateway answers again.
- cloud_ms: from the repair to the first result of the gateway for a frame captured after it. For
  SIGKILL the repair is when the new process accepts connections; a reset needs no repair, and
  counts from the cut.
- missing: frames that entered and have no final result, without those that a newer frame replaced
  before they were admitted (superseded). duplicates: second final results.

What the doubt costs stands in `healthy`: frames that the device answered first although nothing
was cut, on the link as it is and with 60 ms of jitter, and how many of them in a row (a route that
was left shows as many).

Beside it `keep_alive`: the same with no deadlines and heartbeats of ours, but with the WebSocket
library's own keep-alive (ping every 20 s, 20 s for the pong) deciding, on fewer cuts; frames that
wait so long find no room (superseded), or have left the ring when the device is asked (failed).
The gateway serves `bench.tiny_bundle`, so that two cores suffice for the whole path.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from websockets.asyncio.client import connect as websocket_connect

from bench.bars import SWITCHING_MS, judged
from bench.switching_rig import (
    KINDS,
    Rig,
    Witness,
    in_one_process,
    in_processes_of_their_own,
    reversed_until,
    wait,
)
from mastra_ros.bridge import connection
from mastra_ros.config import SchedulingConfig
from mastra_ros.emulation import parse_faults
from mastra_ros.types import Route

OURS: dict[str, dict[str, Any]] = {
    "camera": {"source": "synthetic:pcb?seed=9&width=640&height=480", "rate_hz": 30.0},
    "scheduling": {
        "policy": "fixed",
        "route": "cloud",
        "escalate_below": 0.0,  # refinements are another matter
        "dwell_ms": 200.0,  # so that many cuts fit into minutes
        "hold_max_ms": 400.0,
    },
}
"""Deadline, heartbeats and time-outs are the defaults."""

KEEP_ALIVE: dict[str, dict[str, Any]] = {
    "camera": OURS["camera"],
    "scheduling": {
        **OURS["scheduling"],
        "deadline_ms": 60_000.0,
        "hedge": False,
        "link_silence_ms": 600_000.0,
        "recovery_heartbeats": 1,
    },
    "bridge": {"heartbeat_interval_ms": 60_000.0, "heartbeat_timeout_ms": 600_000.0},
}
DEADLINE_MS = SchedulingConfig().deadline_ms
PING_S = 20.0
"""The library's defaults for ping_interval and ping_timeout."""

STEADY = 36
"""So many answers, nearly all of the gateway, and the next cut may come: a session of more than a
second, else the pauses between attempts to reconnect grow as for a gateway that hangs up."""


@dataclass
class Cut:
    """One cut; times in ns of the system's clock."""

    kind: str
    steady_ns: int
    cut_ns: int
    local_ns: int = 0  # first local result for a frame captured after the cut
    repair_ns: int = 0
    cloud_ns: int = 0  # first result of the gateway for a frame captured after the repair

    def row(self, witness: Witness, until_ns: int) -> dict[str, Any]:
        """What is reported of it; its frames are those captured before the next one began."""
        mine = reversed_until(witness.answers, self.cut_ns - 1_000_000_000)
        times = [a.at_ns for a in mine if a.at_ns <= self.cloud_ns]
        since = [t for t in times if t >= self.cut_ns]
        before = [t for t in times if t < self.cut_ns][-1:]
        gaps = np.diff([*before, *since]) if since else np.array([0])
        frames = {s for s in witness.frames if self.steady_ns <= s < until_ns}
        finals = [a.stamp_ns for a in witness.answers if a.final and a.stamp_ns in frames]
        return {
            "first_local_ms": (self.local_ns - self.cut_ns) / 1e6,
            "gap_ms": float(gaps.max()) / 1e6,
            "cloud_ms": (self.cloud_ns - self.repair_ns) / 1e6,
            "frames": len(frames),
            "unanswered": len(frames) - len(set(finals)),
            "duplicates": len(finals) - len(set(finals)),
            "failed": sum(bool(a.error) for a in witness.answers if a.stamp_ns in frames),
        }


def cut_once(rig: Rig, witness: Witness, kind: str, rng: random.Random, patience_s: float) -> Cut:
    """Wait for a steady flow, cut, wait for the device, repair, wait for the gateway."""
    wait(lambda: witness.steady(STEADY), 60.0, "a steady flow of answers of the gateway")
    steady_ns = time.time_ns()
    time.sleep(rng.uniform(0.0, 0.2))
    cut = Cut(kind, steady_ns, time.time_ns())
    rig.cut(kind)
    wait(
        lambda: witness.first(Route.LOCAL, cut.cut_ns) is not None,
        patience_s,
        f"a result of the device after {kind}",
    )
    local = witness.first(Route.LOCAL, cut.cut_ns)
    assert local is not None
    cut.local_ns = local.at_ns
    time.sleep(max(0.0, rng.uniform(0.6, 1.1) - (time.time_ns() - cut.cut_ns) / 1e9))
    cut.repair_ns = time.time_ns()
    rig.repair(kind)
    if kind == "reset":
        cut.repair_ns = cut.cut_ns
    elif kind == "sigkill":
        cut.repair_ns = time.time_ns()
    wait(
        lambda: witness.first(Route.CLOUD, cut.repair_ns) is not None,
        90.0,
        f"an answer of the gateway after {kind}",
    )
    cloud = witness.first(Route.CLOUD, cut.repair_ns)
    assert cloud is not None
    cut.cloud_ns = cloud.at_ns
    return cut


def summary(rows: list[dict[str, Any]], optimum_ms: float) -> dict[str, Any]:
    """Of the cuts of one kind."""

    def spread(name: str) -> dict[str, float]:
        values = [row[name] for row in rows]
        return {
            "p50": round(float(np.percentile(values, 50)), 1),
            "p99": round(float(np.percentile(values, 99)), 1),
            "max": round(max(values), 1),
        }

    told: dict[str, Any] = {"cuts": len(rows), "first_local_ms": spread("first_local_ms")}
    told["optimum_ms"] = round(optimum_ms, 1)
    told["gap_ms"] = spread("gap_ms")
    told["cloud_ms"] = spread("cloud_ms")
    for name in ("frames", "unanswered", "duplicates", "failed"):
        told[name] = sum(row[name] for row in rows)
    return told


def measure(
    rig: Rig, layout: str, plan: list[str], parameters: dict[str, dict[str, Any]], seed: int
) -> dict[str, Any]:
    """Play the cuts of `plan` in one layout."""
    rng = random.Random(seed)
    values = rig.parameters(parameters)
    open_layout = (
        in_one_process(values)
        if layout == "one process"
        else in_processes_of_their_own(values, rig.folder)
    )
    patience_s = 75.0 if parameters is KEEP_ALIVE else 20.0
    cuts: list[Cut] = []
    with open_layout as witness:
        for number, kind in enumerate(plan, 1):
            cuts.append(cut_once(rig, witness, kind, rng, patience_s))
            last = cuts[-1]
            print(
                f"{layout} {number}/{len(plan)} {kind}: "
                f"device after {(last.local_ns - last.cut_ns) / 1e6:.0f} ms, "
                f"gateway {(last.cloud_ns - last.repair_ns) / 1e6:.0f} ms after the repair",
                flush=True,
            )
    local = [a for a in witness.answers if a.origin is Route.LOCAL and not a.error]
    inference_ms = float(np.median([a.inference_ms for a in local]))
    optimum_ms = DEADLINE_MS + inference_ms
    ends = [*(cut.steady_ns for cut in cuts[1:]), sys.maxsize]
    rows = [cut.row(witness, end) for cut, end in zip(cuts, ends, strict=True)]
    kinds = {
        kind: summary([r for c, r in zip(cuts, rows, strict=True) if c.kind == kind], optimum_ms)
        for kind in KINDS
        if kind in plan
    }
    finals = [a.stamp_ns for a in witness.answers if a.final]
    unanswered = len(set(witness.frames) - set(finals))
    return {
        "layout": layout,
        "cuts": len(cuts),
        "frames": len(set(witness.frames)),
        "superseded": witness.superseded,
        "missing": unanswered - witness.superseded,
        "duplicates": len(finals) - len(set(finals)),
        "failed": sum(bool(a.error) for a in witness.answers),
        "local_inference_ms_p50": round(inference_ms, 1),
        "parameters": parameters,
        "kinds": kinds,
    }


def healthy(rig: Rig, fault: str, seconds: float) -> dict[str, Any]:
    """What the device answers first while nothing is cut."""
    rig.proxy.set_faults(parse_faults(fault))
    with in_one_process(rig.parameters(OURS)) as witness:
        wait(lambda: witness.steady(STEADY), 60.0, "a steady flow of answers of the gateway")
        begun = len(witness.answers)
        time.sleep(seconds)
        finals = [a for a in witness.answers[begun:] if a.final]
    rig.proxy.set_faults(())
    runs = [
        len(list(run)) for local, run in groupby(a.origin is Route.LOCAL for a in finals) if local
    ]
    local = sum(runs)
    print(
        f"healthy, {fault or 'no fault'}: {local} of {len(finals)} answered here first", flush=True
    )
    return {
        "fault": fault,
        "results": len(finals),
        "local": local,
        "local_in_row_max": max(runs, default=0),
        "failed": sum(bool(a.error) for a in finals),
    }


@contextlib.contextmanager
def library_keep_alive() -> Iterator[None]:
    """Let the WebSocket library ping, as it does unless told otherwise."""

    def connect(*args: Any, **options: Any) -> Any:
        return websocket_connect(
            *args, **{**options, "ping_interval": PING_S, "ping_timeout": PING_S}
        )

    with mock.patch.object(connection, "connect", connect):
        yield


def plan_of(kinds: list[str], cuts: int, seed: int) -> list[str]:
    """Every kind so often, in random order."""
    plan = [kind for kind in kinds for _ in range(cuts)]
    random.Random(seed).shuffle(plan)
    return plan


def main() -> int:
    """Measure and write the JSON; status 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cuts", type=int, default=20, help="of each kind in each layout")
    parser.add_argument("--keep-alive-cuts", type=int, default=2, help="of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--layouts", nargs="*", default=["one process", "processes"])
    parser.add_argument("--healthy", type=float, default=30.0, help="s without cuts, each link")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("bench/results/switching.json"))
    options = parser.parse_args()
    # However it ends, the processes that it started end with it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(f"ended by signal {number}"))
    told: dict[str, Any] = {
        "command": "python -m bench.switching",
        "machine": {"cpus": os.cpu_count(), "processor": platform.machine()},
        "nice": os.nice(0),  # of all that takes part, where the machine has other work
        "rate_hz": OURS["camera"]["rate_hz"],
        "limit_ms": SWITCHING_MS,
        "layouts": [],
    }
    with tempfile.TemporaryDirectory(prefix="mastra-") as name, contextlib.ExitStack() as stack:
        rig = Rig(Path(name), stack)
        for layout in options.layouts:
            plan = plan_of(options.kinds, options.cuts, options.seed)
            told["layouts"].append(measure(rig, layout, plan, OURS, options.seed))
        if options.healthy:
            links = ("", "up:jitter=60ms@0s")
            told["healthy"] = [healthy(rig, fault, options.healthy) for fault in links]
        silent = [k for k in ("down", "stall", "sigstop") if k in options.kinds]
        if options.keep_alive_cuts and silent:
            with library_keep_alive():
                plan = plan_of(silent, options.keep_alive_cuts, options.seed)
                told["keep_alive"] = measure(rig, "one process", plan, KEEP_ALIVE, options.seed)
    told["load_average"] = [round(load, 1) for load in os.getloadavg()]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    told = judged("switching", told)
    options.out.write_text(json.dumps(told, indent=2) + "\n")
    print(table(told))
    return 0 if all(bar["holds"] for bar in told["bars"]) else 1


def table(told: dict[str, Any]) -> str:
    """The report for people; times in ms."""
    head = f"{'':22}{'cuts':>5}{'first local p50/p99/max':>27}{'optimum':>9}"
    lines = [head + f"{'gap max':>9}{'cloud p50/max':>16}"]
    lines += [
        f"healthy, {link['fault'] or 'no fault'}: {link['results']} results, "
        f"{link['local']} of the device, {link['local_in_row_max']} in a row at most"
        for link in told.get("healthy", [])
    ]
    groups = [*told["layouts"], *([told["keep_alive"]] if "keep_alive" in told else [])]
    for group in groups:
        name = "keep-alive" if group is told.get("keep_alive") else group["layout"]
        lines.append(
            f"{name}: {group['cuts']} cuts, {group['frames']} frames, missing {group['missing']}, "
            f"superseded {group['superseded']}, duplicates {group['duplicates']}, "
            f"failed {group['failed']}"
        )
        for kind, row in group["kinds"].items():
            local = " / ".join(f"{v:.0f}" for v in row["first_local_ms"].values())
            cloud = f"{row['cloud_ms']['p50']:.0f} / {row['cloud_ms']['max']:.0f}"
            lines.append(
                f"  {kind:20}{row['cuts']:5}{local:>27}{row['optimum_ms']:9.0f}"
                f"{row['gap_ms']['max']:9.0f}{cloud:>16}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
