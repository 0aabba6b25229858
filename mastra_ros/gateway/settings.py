"""Parameters that the gateway asks its devices to change, as texts `stage.parameter=value`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from ..config import REMOTE_STAGES, STAGES, parameters_of
from ..config.parameter import parse_value
from ..errors import ConfigError


def device_settings(texts: Iterable[str]) -> dict[str, Any]:
    """The values by `stage.parameter`, of the parameters' own types.

    Raises one ConfigError naming all that is unknown, out of range or not live.
    """
    values: dict[str, Any] = {}
    problems = []
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        stage, _, parameter = name.partition(".")
        known = parameters_of(STAGES[stage]) if stage in REMOTE_STAGES else {}
        if not equals or parameter not in known or not known[parameter].live:
            problems.append(
                "expected stage.parameter=value with a live parameter of "
                f"{', '.join(REMOTE_STAGES)}, got {text!r}"
            )
            continue
        try:
            plain = parse_value(known[parameter], value)
            values[name] = known[parameter].check(plain)
        except yaml.YAMLError:
            problems.append(f"{name}: expected a YAML value, got {value!r}")
        except ConfigError as error:
            problems.append(f"{stage}.{error}")
    if problems:
        raise ConfigError(f"device_settings: {'; '.join(problems)}")
    return values
