"""Finds the files that are installed beside the code: parameter files, models, launch files."""

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
