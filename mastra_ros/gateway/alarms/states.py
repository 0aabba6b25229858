"""Which alarms there are, and which of them are new or over: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KINDS = ("silent", "cut", "gate", "dropped", "disk", "rollout")
"""silent: a device is not heard. cut: it has no session. gate: its gate of privacy is shut.
dropped: packets of its spool were dropped. disk: something cannot be kept on a disk. rollout: a
roll-out went back."""
ALARMS_MAX = 10_000
TEXT_MAX = 200

Key = tuple[str, str]
"""Kind and device; the device is empty for the gateway itself."""


@dataclass(frozen=True)
class Alarm:
    """One that has begun, or is over."""

    kind: str
    device: str
    state: str  # raised or cleared
    text: str
    at_s: float  # since 1970

    def to_plain(self) -> dict[str, Any]:
        """As it is told."""
        return dict(vars(self))


class AlarmStates:
    """The alarms that there are now. Each is told once when it begins and once when it ends."""

    def __init__(self) -> None:
        self._now: dict[Key, str] = {}

    def update(self, found: Mapping[Key, str], now_s: float) -> list[Alarm]:
        """Take in all that is wrong now; what is new, and what is over."""
        kept = dict(list(found.items())[:ALARMS_MAX])
        news = [
            Alarm(*key, "raised", text[:TEXT_MAX], now_s)
            for key, text in kept.items()
            if key not in self._now
        ]
        news += [
            Alarm(*key, "cleared", text[:TEXT_MAX], now_s)
            for key, text in self._now.items()
            if key not in kept
        ]
        self._now = kept
        return news

    def counts(self) -> dict[str, int]:
        """How many of each kind there are now."""
        return {kind: sum(known == kind for known, _ in self._now) for kind in KINDS}


class Dropping:
    """Which devices have dropped packets since they were looked at before."""

    def __init__(self) -> None:
        self._before: dict[Key, int] = {}

    def look(self, device: str, stream: str, status: Mapping[str, Any]) -> int:
        """How many more than before; the first look only counts."""
        count = status.get("spool", {}).get("dropped", 0)
        before = self._before.get((device, stream), count)
        self._before[device, stream] = count
        return int(max(0, count - before))


def faults_of(status: Mapping[str, Any]) -> dict[str, str]:
    """What the newest status of a device says is wrong, by kind."""
    found: dict[str, str] = {}
    privacy = status.get("privacy", {})
    if privacy.get("open") is False:
        found["gate"] = f"the gate of privacy is shut (mode {privacy.get('mode', '?')})"
    bridge = status.get("diagnostics", {}).get("bridge", {})
    text = str(bridge.get("message", ""))
    if bridge.get("level") == "error" and text.startswith(("records:", "sets:")):
        found["disk"] = text
    return found
