"""Finds files: those installed beside the code (parameter files, models, launch files), homes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .errors import ConfigError


def _candidates() -> list[Path]:
    source_tree = Path(__file__).resolve().parent.parent
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    installed = [Path(p) / "share" / "mastra_ros" for p in [*prefixes, sys.prefix]]
    return [source_tree, *installed]


def home_path(path: str | Path) -> Path:
    """A path in which a `~` in front stands for a home; ConfigError where there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigError(f"{path}: there is no such home folder; is HOME set?") from None


def share_file(relative: str) -> Path:
    """Path of an installed file such as `config/factory_inspection.yaml`.

    The source tree comes first, so that an edit counts at once in a symlinked build; then
    the ament prefixes, then the prefix of a pip installation.
    """
    tried = [root / relative for root in _candidates()]
    for path in tried:
        if path.exists():
            return path
    raise ConfigError(f"{relative}: not found, looked in {', '.join(str(p) for p in tried)}")
