"""The policies by name, made with parameters that a record or a command line gives."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from mastra_ros.errors import RecordError

from .cyclic import FixedTime, Webster
from .fullest import Fullest, Tuned
from .pressure import MaxPressure
from .view import Policy

DEFAULT = "tuned"
POLICIES: dict[str, type] = {
    "tuned": Tuned,
    "fullest": Fullest,
    "max_pressure": MaxPressure,
    "fixed": FixedTime,
    "webster": Webster,
}


def make_policy(name: str, parameters: Mapping[str, float] | None = None) -> Policy:
    """The policy of this name; RecordError where it or a parameter is not known."""
    made = POLICIES.get(name) if isinstance(name, str) else None
    if made is None:
        raise RecordError(f"policy: expected one of {', '.join(POLICIES)}, got {name!r:.80}")
    known = {one.name for one in dataclasses.fields(made) if one.type in ("float", float)}
    given = dict(parameters or {})
    for key, value in given.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if key not in known or not number or not math.isfinite(value) or not 0 <= value <= 1e6:
            raise RecordError(
                f"policy {name}: expected numbers for {', '.join(sorted(known))}, "
                f"got {key!r:.40}: {value!r:.40}"
            )
    policy: Policy = made(**given)
    return policy
