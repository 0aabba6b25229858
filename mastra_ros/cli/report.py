"""What happened in a run: counted while it happens, told as JSON or as a summary."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..redaction import redact
from ..types import FrameKey, GateState, LinkSample, Result
from .timeline import Timeline

FAILURES_SHOWN = 5
"""Reasons in the summary, the most frequent first; the JSON has all."""


def percentile(values: Iterable[float], share: float) -> float | None:
    """Percentile of the finite values, or None when there is none."""
    finite = [v for v in values if math.isfinite(v)]
    return round(float(np.percentile(finite, share * 100)), 2) if finite else None


class RunReport:
    """Observes a pipeline (see nodes/run/monitor.py); thread-safe.

    A frame *enters* when the inference node has it. `missing` are frames that entered, were
    not superseded by a newer one under overload, and got no final result or one with an error.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entered: set[FrameKey] = set()
        self._finals: dict[FrameKey, str] = {}
        self._failed: dict[FrameKey, str] = {}
        self._ages_ms: list[float] = []
        self._origins: Counter[str] = Counter()
        self._late: set[FrameKey] = set()
        self._first_s = math.nan  # when the first frame entered, monotonic
        self._last_s = math.nan  # when the latest final result came
        self._verdicts: dict[int, str] = {}  # by board
        self._link_counters: dict[str, int] = {}
        self.timeline = Timeline()
        self.began_s = math.nan  # when the clock of the faults began, monotonic
        self.duplicates = 0
        self.provisional = 0
        self.defects = 0  # in the latest final result
        self.latest: Result | None = None
        self.link: LinkSample | None = None
        self.against_truth: dict[str, int] = {}  # where the truth is known
        self.failure = ""  # why the source ended before its time
        self.superseded = 0  # told by the scheduler
        self.switches: list[dict[str, Any]] = []  # likewise
        self.engine = ""  # told by the inference node
        self.gate = GateState()
        self.signed = ""  # the counts of privacy, by the device's key
        self.compression: dict[str, Any] = {}  # told by the compression node
        self.told: dict[str, Any] = {}  # what the pipeline has counted

    def on_frame(self, key: FrameKey) -> None:
        with self._lock:
            if not self._entered:
                self._first_s = time.monotonic()
            self._entered.add(key)

    def on_result(self, result: Result) -> None:
        with self._lock:
            if not result.final:
                self.provisional += 1
                return
            key = result.key
            if key in self._finals:
                self.duplicates += 1
                return
            self._finals[key] = result.origin.value
            self._last_s = time.monotonic()
            self.latest = result
            if result.error:
                self._failed[key] = redact(result.error)
                self.timeline.fail(self._last_s)
                return
            self.defects = len(result.detections)
            self._origins[result.origin.value] += 1
            self._ages_ms.append(result.age_ms)
            self.timeline.add(self._last_s, result.age_ms, result.origin.value)

    def on_late_result(self, result: Result) -> None:
        with self._lock:
            self._late.add(result.key)

    def on_link(self, link: LinkSample, counters: dict[str, int]) -> None:
        with self._lock:
            self.link = link
            self.timeline.link(time.monotonic(), link.connected)
            self._link_counters = counters

    def on_verdict(self, board: int, verdict: str, defects: int) -> None:  # noqa: ARG002
        """Observer."""
        with self._lock:
            self._verdicts[board] = verdict

    def on_gate(self, state: GateState) -> None:
        with self._lock:
            self.gate = state

    @property
    def frames(self) -> int:
        """Frames that entered."""
        return len(self._entered)

    @property
    def open(self) -> int:
        """Frames that entered and have no final result yet."""
        return len(self._entered) - len(self._finals) - self.superseded

    @property
    def spooled_now(self) -> int:
        """Records waiting on disk."""
        return self._link_counters.get("spooled", 0)

    @property
    def undelivered(self) -> int:
        """Packets that the gateway has not acknowledged yet, on disk or on their way."""
        return self.spooled_now + (self.link.in_flight if self.link is not None else 0)

    @property
    def missing(self) -> int:
        """Frames without a result that says something."""
        return max(0, self.open) + len(self._failed)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, ready for JSON."""
        with self._lock:
            link = self._link_counters
            return {
                "told": self.told,
                "frames": len(self._entered),
                "flow_s": round(self._last_s - self._first_s, 3) if self._finals else 0.0,
                "results": len(self._finals) - len(self._failed),
                "missing": self.missing,
                "duplicates": self.duplicates,
                "superseded": self.superseded,
                "failed": dict(Counter(self._failed.values())),
                "provisional": self.provisional,
                "by_origin": dict(sorted(self._origins.items())),
                "age_ms": {
                    "p50": percentile(self._ages_ms, 0.50),
                    "p99": percentile(self._ages_ms, 0.99),
                    "max": percentile(self._ages_ms, 1.0),
                },
                "engine": self.engine,
                "switches": self.switches,
                "compression": self.compression,
                "upload_bytes": link.get("uploaded_bytes", 0),
                "spooled": link.get("spooled_total", 0),
                "spooled_left": link.get("spooled", 0),
                "delivered_late": link.get("delivered_late", 0),
                "late_results": len(self._late),
                "dropped": link.get("dropped", 0),
                "privacy": {
                    "mode": self.gate.mode,
                    "sent": self.gate.sent,
                    "masked": self.gate.masked,
                    "withheld": self.gate.withheld,
                    "shut": redact(self.gate.shut),
                },
                "privacy_signed": self.signed,
                "verdicts": dict(sorted(Counter(self._verdicts.values()).items())),
                "against_truth": self.against_truth,
            }

    def compare(self, defective: Callable[[int], bool]) -> None:
        """Compare the verdicts with what is known of the boards of a synthetic line."""
        kinds: Counter[str] = Counter()
        for board, verdict in self._verdicts.items():
            if verdict == "review":
                kinds["review"] += 1
            elif (verdict == "reject") == defective(board):
                kinds["right"] += 1
            else:
                kinds["false_reject" if verdict == "reject" else "missed"] += 1
        self.against_truth = dict(sorted(kinds.items()))

    @property
    def boards(self) -> int:
        """Verdicts given."""
        return len(self._verdicts)

    def live_line(self, elapsed_s: float) -> str:
        """One line on how it goes."""
        latest, link = self.latest, self.link
        route = latest.origin.value if latest else "-"
        age = f"{latest.age_ms:.0f} ms" if latest and math.isfinite(latest.age_ms) else "-"
        if link is None or not link.connected:
            state = f"down, {self.spooled_now} spooled"
        else:
            state = f"up {link.rtt_ms:.1f} ms" if math.isfinite(link.rtt_ms) else "up"
            if self.spooled_now:
                state += f", {self.spooled_now} spooled"
        return (
            f"{elapsed_s:6.1f} s  frames {self.frames:5d}  route {route:5s}  age {age:>7s}  "
            f"link {state}  defects {self.defects}  boards {self.boards}"
        )

    def summary(self) -> str:
        """The report for people."""
        told = self.to_dict()
        age = told["age_ms"]
        rows = [
            ("frames in", told["frames"]),
            ("results out", told["results"]),
            ("missing", told["missing"]),
            ("duplicates", told["duplicates"]),
            ("superseded by newer frames", told["superseded"]),
            ("by origin", _pairs(told["by_origin"])),
            *([("engine on the device", told["engine"])] if told["engine"] else []),
            (
                "result age p50 / p99 / max",
                " / ".join("-" if v is None else f"{v} ms" for v in age.values()),
            ),
            ("bytes up", f"{told['upload_bytes']:,}"),
            *_compression(told["compression"]),
            (
                "frames spooled / delivered later / dropped / left",
                " / ".join(
                    str(told[name])
                    for name in ("spooled", "delivered_late", "dropped", "spooled_left")
                ),
            ),
            ("privacy", _privacy(told["privacy"])),
            ("verdicts", _pairs(told["verdicts"])),
            *([("against the truth", _pairs(truth))] if (truth := self.against_truth) else []),
            ("switches", len(told["switches"])),
        ]
        lines = [f"  {name:50s} {value}" for name, value in rows]
        for switch in told["switches"]:
            latency = switch["latency_ms"]
            lines.append(
                f"    at {switch['t_s']:6.2f} s  {switch['from']} -> {switch['to']}  "
                f"{'-' if latency is None else f'{latency:.1f} ms'}  {switch['reason']}"
            )
        failed = Counter(told["failed"]).most_common()
        lines += [f"  failed: {n} x {why}" for why, n in failed[:FAILURES_SHOWN]]
        if others := failed[FAILURES_SHOWN:]:
            lines.append(f"  failed: {sum(n for _, n in others)} for {len(others)} other reasons")
        return "\n".join(lines)


def _pairs(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _privacy(told: dict[str, Any]) -> str:
    counts = ", ".join(f"{told[name]} {name}" for name in ("sent", "masked", "withheld"))
    return f"{told['mode'] or 'not known'}: {counts}"


def _compression(told: dict[str, Any]) -> list[tuple[str, str]]:
    """The codec, and the packets and bytes of each kind."""
    if not told.get("packets"):
        return []
    kinds = ", ".join(
        f"{kind} {frames} ({size:,})" for kind, (frames, size) in told["packets"].items()
    )
    return [("encoded with", told["coding"]), ("packets of a kind (bytes)", kinds)]
