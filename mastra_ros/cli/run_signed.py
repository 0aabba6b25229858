"""What `mastra run` says of privacy in its report, signed by the device."""

from __future__ import annotations

import time
from typing import Any

from ..errors import AuthenticationError, ConfigError
from .report import RunReport


def signed(report: RunReport, parameters: dict[str, dict[str, Any]]) -> str:
    """The counts of privacy, signed by the device's key; empty where it has none."""
    from ..bridge.connection import keys_folder
    from ..config import BridgeConfig, build
    from ..protocol.keys import load_device_key
    from ..protocol.statements import sign_statement

    config = build(BridgeConfig, parameters.get("bridge", {}))
    try:
        key = load_device_key(keys_folder(config), config.device)
    except (AuthenticationError, ConfigError):
        return ""
    stated = {
        "device": config.device,
        "stream": config.stream,
        "ended_s": int(time.time()),
        "frames": report.frames,
        "privacy": report.to_dict()["privacy"],
    }
    return sign_statement(config.device, key, stated)
