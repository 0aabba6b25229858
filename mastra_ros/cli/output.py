"""Files that a verb writes at its end: checked before its work."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..errors import ConfigError, MastraError
from ..share import home_path


def check_output(path: Path | None, option: str) -> None:
    """ConfigError where the file of an option cannot be written; folders above it are made.

    A file that is there is left as it is; one that is not there is not left behind.
    """
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not (path.is_file() or path.is_dir()):
            return  # a device or a pipe: to open it could wait for who reads
        there = path.exists()
        with path.open("ab"):
            pass
        if not there:
            path.unlink()
    except OSError as error:
        raise ConfigError(f"{option}: cannot write {path}: {error.strerror}") from None


def check_output_folder(path: Path | None, option: str) -> None:
    """ConfigError where the folder of an option cannot be made or written to."""
    if path is None:
        return
    path = home_path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{option}: cannot make the folder {path}: {error.strerror}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(f"{option}: cannot write into the folder {path}")


def write_json(path: Path, document: Any) -> None:
    """Write a document; MastraError where that fails, such as on a full disk."""
    try:
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise MastraError(f"cannot write {path}: {error.strerror}") from None
