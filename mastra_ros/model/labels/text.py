"""Text and JSON as tools on any system write them: with or without a byte-order mark."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

from ...errors import DataError

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path) -> str:
    """A text in UTF-8, or in what its byte-order mark says. Raises DataError."""
    try:
        content = path.read_bytes()
        coding = next((name for mark, name in MARKS if content.startswith(mark)), "utf-8")
        return content.decode(coding)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: cannot be read: not text in UTF-8: {error.reason}") from error


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises DataError."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON: {error}") from error
