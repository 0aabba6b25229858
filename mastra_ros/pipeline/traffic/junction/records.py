"""What a device with signals tells the gateway: its junction, and what it shows.

signal_junction    the layout, and which policy is wanted; told at the start of the device
signal_state       the phase that is green or coming; told at each change, and every few seconds
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mastra_ros.errors import RecordError
from mastra_ros.records import Record, check_stamp

from .guard import Shown
from .layout import Junction

JUNCTION, STATE = "signal_junction", "signal_state"


@dataclass(frozen=True)
class SignalState:
    """What is shown. since_ns: when this phase became green, or the yellow before it began."""

    stamp_ns: int
    junction: str
    phase: str
    green: bool
    since_ns: int
    by: str = "plan"

    def __post_init__(self) -> None:
        check_stamp(self.stamp_ns)
        check_stamp(self.since_ns)
        if self.since_ns > self.stamp_ns:
            raise RecordError("signal_state: expected since_ns of at most the stamp")
        for what in ("junction", "phase", "by"):
            text = getattr(self, what)
            if type(text) is not str or not 0 < len(text) <= 64:
                raise RecordError(f"signal_state: {what}: expected a name, got {text!r:.80}")
        if type(self.green) is not bool:
            raise RecordError(
                f"signal_state: green: expected true or false, got {self.green!r:.40}"
            )


def state_of_shown(junction: Junction, shown: Shown, now_ns: int) -> SignalState:
    """What the guard shows, as it is told."""
    return SignalState(now_ns, junction.name, shown.phase, shown.green, shown.since_ns, shown.by)


def state_record(state: SignalState, run: str = "") -> Record:
    """The record of a state; `run` tells one start of the device from another."""
    body = {name: getattr(state, name) for name in ("junction", "phase", "green", "since_ns", "by")}
    id_ = f"{run}-{STATE}-{state.junction[:40]}-{state.stamp_ns}" if run else ""
    return Record(STATE, state.stamp_ns, body, id_)


def junction_record(
    junction: Junction,
    stamp_ns: int,
    *,
    policy: str = "tuned",
    parameters: Mapping[str, float] | None = None,
    cameras: Sequence[str] = (),
    run: str = "",
) -> Record:
    """The record of a layout.

    parameters: of the policy, where they are not its defaults. cameras: other streams of this
    device whose cameras see lanes of this junction.
    """
    body: dict[str, Any] = {**junction.to_body(), "policy": policy}
    body.update(parameters=dict(parameters or {}), cameras=list(cameras))
    id_ = f"{run}-{JUNCTION}-{junction.name[:40]}-{stamp_ns}" if run else ""
    return Record(JUNCTION, stamp_ns, body, id_)


def state_of(stamp_ns: int, body: Mapping[str, Any]) -> SignalState:
    """The state in a record that anybody may have made; RecordError where it is none."""
    try:
        return SignalState(
            stamp_ns,
            junction=body["junction"],
            phase=body["phase"],
            green=body["green"],
            since_ns=body["since_ns"],
            by=body.get("by", "plan"),
        )
    except KeyError as error:
        raise RecordError(f"signal_state: there is no {error}") from None
