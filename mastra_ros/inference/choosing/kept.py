"""Keeps choices on disk: a small file each, whole or not at all, also with two writers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .candidates import Candidate
from .decide import Choice

_log = logging.getLogger(__name__)


def choices_folder(given: str) -> Path:
    """Where choices are kept: as configured, or in this user's state."""
    if given:
        return Path(given).expanduser()
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "mastra" / "engines"


def path_of(folder: Path, key: Mapping[str, Any]) -> Path:
    """The file of the choice that was made under these conditions."""
    text = json.dumps(key, sort_keys=True)
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"


def load_choice(folder: Path, key: Mapping[str, Any]) -> Choice | None:
    """The choice kept for exactly these conditions; None where there is none that can be read."""
    path = path_of(folder, key)
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["key"] != key:
            return None
        candidate = Candidate(str(kept["part"]), str(kept["engine"]))
        times = {str(name): float(ms) for name, ms in kept["times_ms"].items()}
        problems = {str(name): str(text) for name, text in kept["problems"].items()}
        return Choice(candidate, times, problems)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _log.warning("%s: not a kept choice of an engine, measuring again: %s", path, error)
        return None


def save_choice(folder: Path, key: Mapping[str, Any], choice: Choice) -> bool:
    """Keep the choice; whether that went well. A folder that cannot be written is no fault."""
    path = path_of(folder, key)
    document = {
        "key": dict(key),
        "part": choice.candidate.part,
        "engine": choice.candidate.engine,
        "times_ms": dict(choice.times_ms),
        "problems": dict(choice.problems),
    }
    draft = ""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=folder, prefix=f".{path.stem}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except OSError as error:
        if draft:
            with contextlib.suppress(OSError):
                Path(draft).unlink()
        _log.warning(
            "%s: the choice of an engine cannot be kept, next time it is measured again: %s",
            folder,
            error.strerror,
        )
        return False
    return True
