"""What a gateway may ask of a device: live parameters of its stages, and nothing else."""

from __future__ import annotations

from typing import Any

from ..errors import ConfigError
from .parameter import Parameter, parameters_of
from .stages import STAGES

REMOTE_STAGES = tuple(stage for stage in STAGES if stage not in ("bridge", "gateway", "privacy"))
"""Stages that a gateway may ask a device to change; how it is reached, and what is private, is the
device's affair."""

TEXT_CHARACTERS_MAX, ITEMS_MAX = 1024, 64
"""Longer texts and lists no message carries: one that is kept would end each session at its start.
"""

_LIVE = {
    f"{stage}.{name}": parameter
    for stage in REMOTE_STAGES
    for name, parameter in parameters_of(STAGES[stage]).items()
    if parameter.live
}


def remote_parameter(name: str) -> Parameter | None:
    """The parameter that `stage.parameter` names; None unless a gateway may ask for it."""
    return _LIVE.get(name)


def remote_parameters() -> dict[str, Parameter]:
    """All parameters that a gateway may ask for, by `stage.parameter`."""
    return dict(_LIVE)


def changed_live(stage: str, config: object) -> dict[str, Any]:
    """The live parameters of a stage that are not as they are declared, by name."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, parameter in (
            (full.partition(".")[2], parameter)
            for full, parameter in _LIVE.items()
            if full.startswith(f"{stage}.")
        )
        if isinstance(value := getattr(config, name), (bool, int, float, str, tuple))
        if value != parameter.default
    }


def check_remote(name: str, value: Any) -> Any:
    """The value that a gateway asks for, of the parameter's own type.

    Raises ConfigError for whatever is not on the closed list of live parameters, of another type
    or out of range, or longer than a message carries. What ROS itself declares at every node, such
    as `use_sim_time`, is not on it.
    """
    parameter = remote_parameter(name)
    if parameter is None:
        raise ConfigError(
            f"{name[:80]!r}: expected stage.parameter, a live one of {', '.join(REMOTE_STAGES)}"
        )
    items = value if isinstance(value, (list, tuple)) else (value,)
    if len(items) > ITEMS_MAX:
        raise ConfigError(f"{name}: expected at most {ITEMS_MAX} items, got {len(items)}")
    longest = max((len(one) for one in items if isinstance(one, str)), default=0)
    if longest > TEXT_CHARACTERS_MAX:
        raise ConfigError(
            f"{name}: expected at most {TEXT_CHARACTERS_MAX} characters, got {longest}"
        )
    return parameter.check(value)
