"""Parameters that the gateway asks its devices to change, as texts `stage.parameter=value`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from ..config import REMOTE_STAGES, remote_parameter
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
        parameter = remote_parameter(name)
        if not equals or parameter is None:
            problems.append(
                "expected stage.parameter=value with a live parameter of "
                f"{', '.join(REMOTE_STAGES)}, got {text!r}"
            )
            continue
        try:
            values[name] = parameter.check(parse_value(parameter, value))
        except yaml.YAMLError:
            problems.append(f"{name}: expected a YAML value, got {value!r}")
        except ConfigError as error:
            problems.append(f"{name.partition('.')[0]}.{error}")
    if problems:
        raise ConfigError(f"device_settings: {'; '.join(problems)}")
    return values
