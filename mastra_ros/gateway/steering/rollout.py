"""A bundle on its way to devices: one first, then more, and back where a limit is passed. Pure.

Everything that moves a roll-out lives here: what is seen of the devices and the time go in, the
next state comes out, and what each device should have follows from the state alone, so that a
gateway that starts again goes on where it was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from ...errors import ConfigError

Phase = Literal["running", "done", "back", "rolled_back"]
Wanted = Literal["new", "back"]

STAGES = (0.0, 0.1, 0.5, 1.0)
"""Shares of the devices; one at least."""
RESULTS_MIN = 20
"""Errors are judged from so many results on."""


@dataclass(frozen=True)
class Limits:
    """Beyond these a roll-out goes back. Raises ConfigError."""

    agreement_min: float = 0.7  # of the new bundle with the one before, on a device's own frames
    age_p99_ms_max: float = 2000.0
    errors_max: float = 0.05  # share of the results
    switch_s: float = 600.0  # how long a device that is heard may take

    def __post_init__(self) -> None:
        for one in fields(self):
            high = 1.0 if one.name in ("agreement_min", "errors_max") else 1e9
            _check(one.name, getattr(self, one.name), high)

    def fault(self, seen: Seen) -> str:
        """Which limit a device with the new bundle has passed; empty for none."""
        if seen.agreement is not None and seen.agreement < self.agreement_min:
            return f"agreement {seen.agreement:.2f}, expected {self.agreement_min:g} at least"
        if seen.age_p99_ms is not None and seen.age_p99_ms > self.age_p99_ms_max:
            return f"age p99 {seen.age_p99_ms:.0f} ms, expected {self.age_p99_ms_max:g} ms at most"
        if seen.results >= RESULTS_MIN and seen.failed > self.errors_max * seen.results:
            share = seen.failed / seen.results
            return f"errors in {share:.1%} of the results, expected {self.errors_max:.1%} at most"
        return ""


@dataclass(frozen=True)
class Seen:
    """What is known of a device now; of results and ages, since it has the new bundle."""

    heard: bool = False
    digest: str = ""
    refused: str = ""  # why it has not taken the bundle of this roll-out, or has left it
    age_p99_ms: float | None = None
    results: int = 0  # all of them, failed ones too
    failed: int = 0
    agreement: float | None = None


@dataclass(frozen=True)
class Rollout:
    """One roll-out; times are in s since 1970. Raises ConfigError."""

    id: int
    source: str  # where the bundle lies at the gateway
    name: str
    version: str
    digest: str
    devices: tuple[str, ...]  # in their order
    who: str
    begun_s: float
    stages: tuple[float, ...] = STAGES
    soak_s: float = 600.0
    limits: Limits = field(default_factory=Limits)
    phase: Phase = "running"
    stage: int = 0
    told: Mapping[str, float] = field(default_factory=dict)  # who was given it, and when
    switched: Mapping[str, float] = field(default_factory=dict)  # who has had it, and since when
    soaking_s: float = -1.0  # since when all of the stage have it; below 0: not all
    reason: str = ""
    changed_s: float = 0.0
    paused: bool = False  # no further device is given it, but limits are watched
    everyone: bool = False  # for all devices: those whose key comes after it, too

    def __post_init__(self) -> None:
        if not self.devices or len(set(self.devices)) != len(self.devices):
            raise ConfigError("rollout: expected devices, each once")
        rising = all(a < b for a, b in zip(self.stages, self.stages[1:], strict=False))
        if not self.stages or not rising or self.stages[-1] != 1.0 or self.stages[0] < 0:
            raise ConfigError(f"rollout: stages: expected rising shares up to 1, got {self.stages}")
        _check("soak_s", self.soak_s, 1e7)

    @property
    def mark(self) -> str:
        """Names it for devices; the numbers of a gateway may begin anew."""
        return f"{self.id}.{int(self.begun_s)}"

    @property
    def active(self) -> bool:
        """Whether something may still follow by itself."""
        return self.phase in ("running", "back")

    @property
    def reached(self) -> tuple[str, ...]:
        """The devices of the stages so far."""
        count = math.ceil(self.stages[self.stage] * len(self.devices))
        return self.devices[: max(1, count)]

    def wanted(self) -> dict[str, Wanted]:
        """What each device should be given."""
        going = self.phase in ("running", "done")
        return dict.fromkeys(self.told, "new" if going else "back")

    def go_back(self, reason: str, now_s: float) -> Rollout:
        """Every device that was given it shall have the bundle of before."""
        if self.phase in ("back", "rolled_back"):
            return self
        after = replace(self, phase="back", reason=reason, changed_s=now_s, soaking_s=-1.0)
        return replace(after, paused=False)

    def join(self, device: str, now_s: float) -> Rollout:
        """A device that came after it was begun is given it, and is one of its devices."""
        if device in self.told:
            return self
        devices = self.devices if device in self.devices else (*self.devices, device)
        return replace(self, devices=devices, told={**self.told, device: now_s})

    def pause(self, now_s: float, *, paused: bool = True) -> Rollout:
        """Stay at what is reached, or go on; who soaks, soaks anew."""
        if self.phase != "running" or self.paused == paused:
            return self
        return replace(self, paused=paused, changed_s=now_s, soaking_s=-1.0)

    def step(self, seen: Mapping[str, Seen], now_s: float) -> Rollout:
        """The state after what is seen now."""
        if self.phase == "back":
            if any(self._to_await(one, _of(seen, one), now_s) for one in self.told):
                return self
            return replace(self, phase="rolled_back", changed_s=now_s)
        if self.phase != "running":
            return self
        told = dict(self.told)
        # Who has it already is neither given it nor taken back.
        for device in () if self.paused else self.reached:
            if _of(seen, device).digest != self.digest:
                told.setdefault(device, now_s)
        switched = dict(self.switched)
        for device in told:
            if _of(seen, device).digest == self.digest:
                switched.setdefault(device, now_s)
        after = replace(self, told=told, switched=switched)
        fault = after._fault(seen, now_s)
        if fault:
            return after.go_back(fault, now_s)
        return after if self.paused else after._soaked(seen, now_s)

    def _to_await(self, device: str, seen: Seen, now_s: float) -> bool:
        """Whether a device is still to go back: it has the bundle, or had it and nothing is known.

        Nothing is known of a device after a start of the gateway, until it tells its bundle.
        """
        if seen.digest:
            return seen.heard and seen.digest == self.digest
        return device in self.switched and now_s - self.changed_s < self.limits.switch_s

    def _fault(self, seen: Mapping[str, Seen], now_s: float) -> str:
        for device, told_s in self.told.items():
            one = _of(seen, device)
            if one.refused:
                return f"{device}: {one.refused}"
            if one.digest == self.digest:
                if why := self.limits.fault(one):
                    return f"{device}: {why}"
            elif device in self.switched:
                if one.heard and one.digest:  # of one that has just come nothing is known yet
                    return f"{device}: it has left the bundle by itself"
            elif one.heard and now_s - told_s > self.limits.switch_s:
                return f"{device}: it has not switched within {self.limits.switch_s:g} s"
        return ""

    def _soaked(self, seen: Mapping[str, Seen], now_s: float) -> Rollout:
        """Soak while all that are heard have it, and none that has it has fallen silent."""
        ready = [d for d in self.reached if _of(seen, d).digest == self.digest]
        waiting = [d for d in self.reached if d not in ready and _of(seen, d).heard]
        silent = [d for d in self.switched if not _of(seen, d).heard]
        if waiting or silent or not ready:
            return replace(self, soaking_s=-1.0)
        if self.soaking_s < 0:
            return replace(self, soaking_s=now_s)
        if now_s - self.soaking_s < self.soak_s:
            return self
        if self.stage + 1 < len(self.stages):
            return replace(self, stage=self.stage + 1, soaking_s=-1.0, changed_s=now_s)
        return replace(self, phase="done", changed_s=now_s)


def to_plain(rollout: Rollout) -> dict[str, Any]:
    """As JSON knows it."""
    told = dict(vars(rollout))
    told["limits"] = dict(vars(rollout.limits))
    told["devices"], told["stages"] = list(rollout.devices), list(rollout.stages)
    told["told"], told["switched"] = dict(rollout.told), dict(rollout.switched)
    return told


def from_plain(told: Mapping[str, Any]) -> Rollout:
    """What `to_plain` made. Raises ConfigError, TypeError or KeyError for anything else."""
    values = {
        **told,
        "limits": Limits(**told["limits"]),
        "devices": tuple(told["devices"]),
        "stages": tuple(told["stages"]),
    }
    return Rollout(**values)


def steps_between(before: Rollout, after: Rollout) -> list[tuple[str, str, str, Any, Any, str]]:
    """For the audit: action, device, name, old, new and outcome of everything that has happened."""
    name, digest = after.name, after.digest
    given = [device for device in after.told if device not in before.told]
    switched = [device for device in after.switched if device not in before.switched]
    rows: list[tuple[str, str, str, Any, Any, str]] = [
        *(("rollout", device, name, None, digest, "given") for device in given),
        *(("rollout", device, name, None, digest, "switched") for device in switched),
    ]
    if after.stage != before.stage:
        share = f"{after.stages[after.stage]:.0%}"
        rows.append(("rollout", "", name, before.stage, after.stage, f"stage {share}"))
    if after.paused != before.paused and after.phase == before.phase:
        outcome = "paused" if after.paused else "resumed"
        rows.append(("rollout", "", name, before.paused, after.paused, outcome))
    if after.phase != before.phase:
        outcome = f"{after.phase}: {after.reason}" if after.reason else after.phase
        rows.append(("rollout", "", name, before.phase, after.phase, outcome))
    return rows


def _of(seen: Mapping[str, Seen], device: str) -> Seen:
    return seen.get(device) or Seen()


def _check(name: str, value: Any, high: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value <= high:
        raise ConfigError(f"rollout: {name}: expected 0 to {high:g}, got {value!r:.40}")
