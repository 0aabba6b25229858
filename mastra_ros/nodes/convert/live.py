"""Live parameters in a node's diagnostics, so that who may change them sees what they are."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from ...config import check_remote
from ...errors import ConfigError

LIVE_PREFIX = "live "
"""Of keys of diagnostics: live parameters that are not as they are declared."""
CHARACTERS_MAX = 256
LIST_CHARACTERS_MAX = 1024
"""As JSON. A longer value is left out, since a status has room for 4,096 bytes in all."""


def live_to_values(changed: Mapping[str, object]) -> dict[str, str]:
    """Live parameters by name as values of a node's diagnostics; lists are JSON's."""
    return {f"{LIVE_PREFIX}{name}": json.dumps(value) for name, value in changed.items()}


def live_of_values(stage: str, values: Mapping[str, str]) -> dict[str, Any]:
    """Live parameters by `stage.name` that a node's diagnostics tell; what is none is left out."""
    found: dict[str, Any] = {}
    for key, text in values.items():
        name = f"{stage}.{key.removeprefix(LIVE_PREFIX)}"
        most = LIST_CHARACTERS_MAX if text.startswith("[") else CHARACTERS_MAX
        if key.startswith(LIVE_PREFIX) and len(text) <= most:
            with contextlib.suppress(ValueError, ConfigError, RecursionError):
                value = check_remote(name, json.loads(text))
                if isinstance(value, (bool, int, float, str)):
                    found[name] = value
                elif isinstance(value, tuple):
                    found[name] = list(value)
    return found
