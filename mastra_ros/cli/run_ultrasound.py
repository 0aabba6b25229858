"""`mastra run medical_ultrasound`: a probe, its sweeps, and what the gateway makes of them."""

from __future__ import annotations

import argparse
import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ..errors import MastraError, SourceError
from ..pipeline.ultrasound.banner import BANNER
from ..types import FrameKey, GateState, LinkSample, Result
from .output import write_json

CONNECT_TIMEOUT_S = 10.0
DELIVERY_TIMEOUT_S = 300.0
LIVE_PERIOD_S = 5.0
REPORT = "sr.dcm"
"""The last of what comes back of a sweep; see pipeline/ultrasound/cloud/products.py."""


class Link(Protocol):
    """How the run reaches its gateway; see cli/run.py."""

    @property
    def start_clock(self) -> Callable[[], None]: ...
    @property
    def expected(self) -> bool: ...


class SweepReport:
    """Observes a run; thread-safe enough: every value is replaced, none changed."""

    def __init__(self) -> None:
        self.link: LinkSample | None = None
        self.gate = GateState()
        self.counters: dict[str, int] = {}

    def on_frame(self, key: FrameKey) -> None:
        """Observer."""

    def on_result(self, result: Result) -> None:
        """Observer."""

    def on_late_result(self, result: Result) -> None:
        """Observer."""

    def on_verdict(self, board: int, verdict: str, defects: int) -> None:
        """Observer."""

    def on_link(self, link: LinkSample, counters: dict[str, int]) -> None:
        """Observer."""
        self.link, self.counters = link, counters

    def on_gate(self, state: GateState) -> None:
        """Observer."""
        self.gate = state


def run_sweeps(
    args: argparse.Namespace,
    parameters: dict[str, dict[str, Any]],
    link: Link,
    stop: threading.Event,
) -> int:
    """Run until the source ends; exit status 0 only when every sweep has its report."""
    from ..nodes.run.compose import Composition
    from ..nodes.run.monitor import MonitorNode

    watched = SweepReport()
    print(BANNER)
    with Composition(
        parameters, namespace=args.namespace, pipeline="medical_ultrasound"
    ) as composition:
        composition.configure()
        composition.activate("ultrasound", "bridge")
        composition.await_discovery()
        composition.add(lambda **options: MonitorNode(watched, **options))
        probe: Any = composition.nodes["probe"]
        node: Any = composition.nodes["ultrasound"]
        _look(node)
        if link.expected:
            _wait(
                lambda: watched.link is not None and watched.link.connected, CONNECT_TIMEOUT_S, stop
            )
        link.start_clock()
        composition.activate("probe")
        began = time.monotonic()
        shown = began
        while not stop.is_set() and composition.failure is None and not probe.ended.is_set():
            if args.duration is not None and time.monotonic() - began >= args.duration:
                break
            probe.ended.wait(0.05)
            if not args.quiet and time.monotonic() - shown >= LIVE_PERIOD_S:
                shown = time.monotonic()
                print(_live_line(shown - began, node.told()), flush=True)
        composition.stop("probe")
        node.settle()
        sweeps = node.finish()
        if link.expected and not stop.is_set():
            _wait(
                lambda: composition.failure is not None or _answered(node, sweeps),
                DELIVERY_TIMEOUT_S,
                stop,
            )
        told = _told(probe, node, watched, time.monotonic() - began)
        if composition.failure is not None:
            raise MastraError(f"a node failed: {composition.failure}")
    reported = told["artefacts"]
    missing = [name for name in told["sweeps"] if REPORT not in reported.get(name, {})]
    print(f"\n{args.pipeline}\n{_summary(told)}")
    if missing and link.expected:
        print(f"  no report has come back of {', '.join(missing)}")
    print(f"  {BANNER}")
    if args.report:
        write_json(args.report, told)
    if probe.failure:
        raise SourceError(probe.failure)
    return 1 if missing and link.expected else 0


def fit_calibration(ultrasound: dict[str, Any], source: str) -> None:
    """That of a drawn phantom fits it alone; one of a file stays, whatever the source."""
    if str(ultrasound.get("calibration", "synthetic:")).startswith("synthetic:"):
        ultrasound["calibration"] = source if source.startswith("synthetic:") else ""


def _look(node: Any) -> None:
    """Look at the live pictures, so that they are drawn and their age is known."""
    topic = node.resolve_topic_name("image_live")
    node.bus.subscribe(topic, lambda frame: None)  # noqa: ARG005 - their age is what counts


def _answered(node: Any, sweeps: list[str]) -> bool:
    return all(REPORT in node.artefacts.get(name, {}) for name in sweeps)


def _told(probe: Any, node: Any, watched: SweepReport, flow_s: float) -> dict[str, Any]:
    told = node.told()
    counters = watched.counters
    return {
        "banner": BANNER,
        "flow_s": round(flow_s, 3),
        "pictures": probe.captured,
        "poses": {"taken": told.poses, "refused": dict(told.poses_refused)},
        "sweeps": list(node.swept),
        "frames_told": told.told,
        "frames_refused": dict(told.refused),
        "withheld": told.withheld,
        "lag_ms": told.lag_ms,
        "live": {
            "pictures": node.ages.count,
            "age_ms": {
                "p50": _number(node.ages.percentile_ms(0.5)),
                "p99": _number(node.ages.percentile_ms(0.99)),
            },
        },
        "artefacts": {
            name: {kind: str(path) for kind, path in kinds.items()}
            for name, kinds in node.artefacts.items()
        },
        "feedback": None if told.feedback is None else told.feedback.words,
        "upload_bytes": counters.get("uploaded_bytes", 0),
        "spooled_left": counters.get("spooled", 0),
        "privacy": {
            "mode": watched.gate.mode,
            "sent": watched.gate.sent,
            "withheld": watched.gate.withheld,
        },
        "notes": list(probe.notes),
    }


def _summary(told: Mapping[str, Any]) -> str:
    age = told["live"]["age_ms"]
    rows = [
        ("pictures in", told["pictures"]),
        ("poses taken / refused", f"{told['poses']['taken']} / {_pairs(told['poses']['refused'])}"),
        ("sweeps", ", ".join(told["sweeps"]) or told["withheld"] or "none"),
        ("frames of sweeps / refused", f"{told['frames_told']} / {_pairs(told['frames_refused'])}"),
        ("live pictures", told["live"]["pictures"]),
        ("age of them, probe to picture", f"p50 {age['p50']} ms, p99 {age['p99']} ms"),
        ("bytes up", f"{told['upload_bytes']:,}"),
        ("privacy", _pairs(told["privacy"])),
    ]
    lines = [f"  {name:34s} {value}" for name, value in rows]
    for name, kinds in told["artefacts"].items():
        lines += [f"  {name}: {kind}  {Path(path)}" for kind, path in kinds.items()]
    return "\n".join(lines)


def _live_line(at_s: float, told: Any) -> str:
    feedback = "" if told.feedback is None else f"  {told.feedback.words}"
    return (
        f"{at_s:6.1f} s  pictures {told.pictures:5d}  told {told.told:5d}  "
        f"live p99 {told.live_age_p99_ms:.1f} ms{feedback}"
    )


def _pairs(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _number(value: float) -> float | None:
    return round(value, 2) if math.isfinite(value) else None


def _wait(condition: Callable[[], bool], timeout_s: float, stop: threading.Event) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline or stop.wait(0.02):
            return False
    return True
