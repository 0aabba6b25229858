"""What the bridge node tells of the whole device: collected from topics, told once a second."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray

from ..bridge import BridgeStatus
from ..errors import StatusError
from ..msg import Packet, ScheduleState
from ..protocol import VERSION
from ..statuses import pack_status
from ..types import GateState
from . import convert

TEXT_MAX = 160
NODES_MAX = 10
"""Nodes whose diagnostics are told."""
CODECS_MAX = 4
LEVELS = {b"\x00": "ok", b"\x01": "warn", b"\x02": "error", b"\x03": "stale"}
STALE = 5
"""So many statuses after its diagnostics came last, a node is told as stale."""
COUNTING = ("pipeline", "traffic", "ultrasound")
"""Nodes of applications: what they count (verdicts, events, pictures) is told."""
COUNTS_MAX = 12
SECTIONS_LEFT_OUT = ("diagnostics", "pipeline", "codecs", "models", "settings")
"""In this order, where a status would be too large."""


class DeviceTeller:
    """Makes statuses (see `mastra_ros.statuses`) of what it hears.

    namespace: of the nodes of this device; others' diagnostics are on the same topic.
    """

    def __init__(self, namespace: str) -> None:
        self._prefix = f"{namespace.strip('/')}/".lstrip("/")
        self._schedule: dict[str, Any] = {}
        self._nodes: dict[str, tuple[str, str, int]] = {}
        self._bundle: dict[str, Any] = {}
        self._counts: dict[str, int] = {}
        self._packets: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._live: dict[str, dict[str, Any]] = {}
        self._gate: GateState | None = None
        self._told = 0
        self._versions = {"protocol": str(VERSION)}
        with contextlib.suppress(PackageNotFoundError):
            self._versions["mastra_ros"] = version("mastra_ros")

    def on_schedule(self, message: ScheduleState) -> None:
        """What the scheduler did. Raises MessageError."""
        self._schedule = convert.schedule_sections(message)

    def on_diagnostics(self, message: DiagnosticArray) -> None:
        """How nodes are; those of other devices are left out."""
        for status in message.status:
            name = status.name.removeprefix(self._prefix)
            if not status.name.startswith(self._prefix) or "/" in name or not name:
                continue
            if name not in self._nodes and len(self._nodes) >= NODES_MAX:
                continue
            level = LEVELS.get(status.level, "error")
            self._nodes[name[:64]] = (level, status.message[:TEXT_MAX], self._told)
            values = {pair.key: pair.value for pair in status.values}
            self._live[name[:64]] = convert.live_of_values(name, values)
            if name in COUNTING:
                self._counts = _counts(values)
            if name == "inference" and (digest := values.get("bundle_digest", "")):
                self._bundle = {"name": values.get("bundle", "")[:64], "digest": digest[:64]}
                self._bundle |= _rolled_out(values)

    def on_packet(self, message: Packet) -> None:
        """A packet for the gateway."""
        coding = (message.coding or message.kind)[:40]
        if coding not in self._packets and len(self._packets) >= CODECS_MAX:
            coding = "others"
        self._packets[coding] += 1
        self._bytes[coding] += len(message.payload)

    def on_gate(self, state: GateState) -> None:
        """What the gate of privacy does."""
        self._gate = state

    def take(
        self, bridge: BridgeStatus, now_ns: int, settings: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The status now; `now_ns` is since 1970, `settings` what became of the gateway's."""
        self._told += 1
        link = bridge.link
        told: dict[str, Any] = {
            "at_ns": max(0, now_ns),
            **self._schedule,
            "link": {
                **convert.known(
                    rtt_ms=link.rtt_ms,
                    rtt_var_ms=link.rtt_var_ms,
                    loss=link.loss,
                    goodput_bps=link.goodput_bps,
                ),
                "connected": link.connected,
                "in_flight": link.in_flight,
                "session": bridge.session,
                "uploaded_bytes": bridge.uploaded_bytes,
                "error": bridge.error[:TEXT_MAX],
            },
            "codecs": {
                coding: {"packets": n, "bytes": self._bytes[coding]}
                for coding, n in self._packets.items()
            },
            "spool": {
                "packets": link.spooled,
                "bytes": bridge.spooled_bytes,
                "delivered_late": bridge.delivered_late,
                "dropped": bridge.dropped,
                "records": bridge.records,
                "records_refused": bridge.records_refused,
                "set_frames": bridge.set_frames,
            },
            "versions": self._versions,
            "diagnostics": {
                name: {"level": "stale" if self._told - at > STALE else level, "message": text}
                for name, (level, text, at) in self._nodes.items()
            },
        }
        live = {name: value for each in self._live.values() for name, value in each.items()}
        if settings or self._live:
            lists = {name: value for name, value in live.items() if isinstance(value, list)}
            told["settings"] = {
                **(settings or {}),
                "live": {name: value for name, value in live.items() if name not in lists},
                **({"live_lists": lists} if lists else {}),
            }
        if self._counts:
            told["pipeline"] = self._counts
        if self._bundle:
            told["bundle"] = self._bundle
        if self._gate is not None and self._gate.mode:
            told["privacy"] = _privacy(self._gate, bridge)
        self._schedule = {}
        self._packets.clear()
        self._bytes.clear()
        return _fitting(told)


def _counts(values: Mapping[str, str]) -> dict[str, int]:
    """What an application has counted since its start; the gate's counts are told elsewhere."""
    found = [
        (key[:40], int(value))
        for key, value in values.items()
        if value.isdecimal() and value.isascii() and len(value) < 19
        if not key.startswith("privacy_")
    ]
    return dict(found[:COUNTS_MAX])


def _rolled_out(values: Mapping[str, str]) -> dict[str, Any]:
    """What became of the latest roll-out."""
    told: dict[str, Any] = {
        name: values[f"bundle_{name}"][:TEXT_MAX]
        for name in ("rollout", "refused")
        if values.get(f"bundle_{name}")
    }
    with contextlib.suppress(KeyError, ValueError):
        told["agreement"] = float(values["bundle_agreement"])
    return told


def _privacy(gate: GateState, bridge: BridgeStatus) -> dict[str, Any]:
    counts = {"sent": gate.sent, "masked": gate.masked, "withheld": gate.withheld}
    return {"mode": gate.mode, "open": not gate.shut, **counts, "kept": bridge.kept}


def _fitting(told: dict[str, Any]) -> dict[str, Any]:
    """The status without what makes it too large."""
    for section in SECTIONS_LEFT_OUT:
        if _fits(told):
            break
        told = {name: value for name, value in told.items() if name != section}
    return told


def _fits(told: dict[str, Any]) -> bool:
    try:
        pack_status(told)
    except StatusError:
        return False
    return True
