"""A signal plan: what the gateway would like to see at a junction next.

It names the record that it rests on by its stamp, which the device's own clock made: by that clock,
and no other, the device counts how long the plan is good.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from mastra_ros.errors import RecordError
from mastra_ros.records import check_stamp

from .layout import check_seconds

KIND = "signal_plan"
"""Of the artefact, whose name is that of the junction, and of the topic."""
PLAN_BYTES_MAX = 4096


@dataclass(frozen=True)
class SignalPlan:
    """Raises RecordError where it makes no sense by itself.

    phase: which is to be green. green_s: how long, from when the device takes the plan in or the
    phase becomes green. then: the phase after that, empty: `phase` stays. yellow_s: between phases
    (the device shows no less than its own). valid_ms: after `stamp_ns`, which is the stamp of the
    newest record that the plan rests on. reason: why, in a few words.
    """

    junction: str
    phase: str
    green_s: float
    yellow_s: float
    reason: str
    valid_ms: float
    stamp_ns: int
    then: str = ""

    def __post_init__(self) -> None:
        for what in ("junction", "phase", "reason", "then"):
            text = getattr(self, what)
            good = type(text) is str and len(text) <= 200 and (text or what in ("then", "reason"))
            if not good:
                raise RecordError(f"plan: {what}: expected a short text, got {text!r:.80}")
        check_seconds("plan: green_s", self.green_s, 0.0, 600.0)
        check_seconds("plan: yellow_s", self.yellow_s, 0.0, 10.0)
        check_seconds("plan: valid_ms", self.valid_ms, 100.0, 300_000.0)
        check_stamp(self.stamp_ns)

    @property
    def until_ns(self) -> int:
        """When it is no longer good, by the device's clock."""
        return self.stamp_ns + int(self.valid_ms * 1e6)

    def to_bytes(self) -> bytes:
        """As JSON: the data of the artefact."""
        return json.dumps(asdict(self)).encode()


def plan_of(data: bytes) -> SignalPlan:
    """The plan in what came; RecordError where it is none. Keys not known are passed over."""
    if len(data) > PLAN_BYTES_MAX:
        raise RecordError(f"plan: expected at most {PLAN_BYTES_MAX} bytes, got {len(data)}")
    try:
        values: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise RecordError("plan: expected JSON") from None
    if not isinstance(values, dict):
        raise RecordError(f"plan: expected a map, got {type(values).__name__}")
    known = {name: value for name, value in values.items() if name in _FIELDS}
    try:
        return SignalPlan(**known)
    except TypeError as error:
        raise RecordError(f"plan: {error}") from None


_FIELDS = frozenset(SignalPlan.__dataclass_fields__)
