"""Where the bridge keeps what it keeps on disk."""

from __future__ import annotations

import os
from pathlib import Path

from ..config import BridgeConfig
from ..share import home_path


def spool_path(config: BridgeConfig) -> Path:
    """File of the spool: as configured, or one per device and stream in this user's state."""
    if config.spool_path:
        return home_path(config.spool_path)
    return _state() / f"spool-{config.device}-{config.stream}.sqlite"


def records_path(config: BridgeConfig) -> Path:
    """File of the records that wait: beside the spool, for they have a reserve of their own."""
    spool = spool_path(config)
    return spool.with_name(f"{spool.name}.records")


def sets_path(config: BridgeConfig) -> Path:
    """File of the frames of sets that wait: likewise."""
    spool = spool_path(config)
    return spool.with_name(f"{spool.name}.sets")


def artefacts_path(config: BridgeConfig) -> Path:
    """Folder of artefacts: as configured, or one per device and stream in this user's state."""
    if config.artefacts_dir:
        return home_path(config.artefacts_dir)
    return _state() / f"artefacts-{config.device}-{config.stream}"


def _state() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or home_path("~/.local/state")) / "mastra"
