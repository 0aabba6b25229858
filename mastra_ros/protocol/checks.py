"""Checks of single fields of messages: each takes a value, and raises ProtocolError or returns it.

A message declares its fields with `checked(check)`; `check_fields` runs them all at birth.
Types are compared exactly, so that `True` is no number and a subclass is no surprise.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ProtocolError
from ..types import FRAME_ID

Check = Callable[[Any], Any]

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a device or a stream may be called; `.` and `..` are refused besides."""

INT64_MAX = 2**63 - 1

_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_MISSING: Any = dataclasses.MISSING


def checked(check: Check, default: Any = _MISSING, *, factory: Any = _MISSING) -> Any:
    """Declare a field of a message; without a default it must be present in the envelope."""
    return dataclasses.field(default=default, default_factory=factory, metadata={"check": check})


_CHECKS: dict[type, tuple[tuple[str, Check], ...]] = {}
"""By class, for `dataclasses.fields` takes longer than all the checks."""


def check_fields(message: Any) -> None:
    """Run the check of every field of a dataclass; the error names message and field."""
    cls = type(message)
    if cls not in _CHECKS:
        _CHECKS[cls] = tuple((f.name, f.metadata["check"]) for f in dataclasses.fields(cls))
    values = vars(message)
    for name_, check in _CHECKS[cls]:
        value = values[name_]
        try:
            accepted = check(value)
        except ProtocolError as error:
            raise ProtocolError(f"{cls.__name__}.{name_}: {error}") from None
        if accepted is not value:  # a list from the envelope becomes a tuple
            object.__setattr__(message, name_, accepted)


def is_name(value: object) -> bool:
    """Whether `value` may name a device or a stream."""
    return isinstance(value, str) and value not in (".", "..") and bool(NAME.fullmatch(value))


def name(value: Any) -> str:
    """1 to 64 of letters, digits, dot, underscore and hyphen."""
    if type(value) is not str or not is_name(value):
        raise ProtocolError(f"expected a name ({NAME.pattern}), got {_short(value)}")
    return value


def frame_id(value: Any) -> str:
    """The id of a frame: at most 64 printable characters; empty where the peer knows none."""
    if type(value) is not str or not FRAME_ID.fullmatch(value):
        raise ProtocolError(f"expected an id ({FRAME_ID.pattern}), got {_short(value)}")
    return value


def flag(value: Any) -> bool:
    """True or False."""
    if type(value) is not bool:
        raise ProtocolError(f"expected true or false, got {_short(value)}")
    return value


def integer(low: int = 0, high: int = INT64_MAX) -> Check:
    """A whole number from low to high."""

    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ProtocolError(f"expected a whole number {low} to {high}, got {_short(value)}")
        return value

    return check


STAMP_S_MAX = 2**31
"""Stamps are those of ROS headers, whose seconds have 32 bits."""

stamp = integer(-STAMP_S_MAX * 10**9, STAMP_S_MAX * 10**9 - 1)
"""A time in ns that a ROS header can carry."""


def number(low: float = 0.0, high: float = math.inf, *, nan: bool = False) -> Check:
    """A float (or whole number) from low to high; NaN, meaning unknown, only where allowed."""

    def check(value: Any) -> float:
        if type(value) not in (float, int):
            raise ProtocolError(f"expected a number, got {_short(value)}")
        if math.isnan(value):
            if not nan:
                raise ProtocolError("expected a number, got NaN")
        elif not low <= value <= high:
            raise ProtocolError(f"expected a number {low:g} to {high:g}, got {_short(value)}")
        return value if type(value) is float else float(value)

    return check


def text(longest: int) -> Check:
    """A string of at most so many characters, in which control characters become escaped."""

    def check(value: Any) -> str:
        if type(value) is not str or len(value) > longest:
            raise ProtocolError(f"expected at most {longest} characters, got {_short(value)}")
        return printable(value)

    return check


def choice(*allowed: str) -> Check:
    """One of the strings given."""

    def check(value: Any) -> str:
        if type(value) is not str or value not in allowed:
            raise ProtocolError(f"expected one of {', '.join(allowed)}, got {_short(value)}")
        return value

    return check


def blob(longest: int = INT64_MAX, *, multiple: int = 1) -> Check:
    """Raw bytes, at most so many, in whole items of `multiple` bytes."""

    def check(value: Any) -> bytes:
        if type(value) is not bytes:
            raise ProtocolError(f"expected bytes, got {_short(value)}")
        if len(value) > longest or len(value) % multiple:
            raise ProtocolError(
                f"expected at most {longest} bytes in items of {multiple}, got {len(value)}"
            )
        return value

    return check


def printable(value: str) -> str:
    """A text of the other side as one line: control characters are escaped.

    Line separators among them would forge lines of a log, and marks of direction show other words
    than are there; lone surrogates cannot be written at all.
    """
    if value.isascii() and value.isprintable():
        return value
    return _CONTROL.sub(lambda one: one[0].encode("unicode_escape").decode("ascii"), value)


def texts(most: int, longest: int) -> Check:
    """A tuple of at most so many strings."""
    one = text(longest)

    def check(value: Any) -> tuple[str, ...]:
        if type(value) not in (tuple, list) or len(value) > most:
            raise ProtocolError(f"expected a list of at most {most}, got {_short(value)}")
        checked_items = tuple(one(item) for item in value)
        return value if checked_items == value else checked_items

    return check


def plain(depth: int = 4, most: int = 64) -> Check:
    """A map of string keys to plain values: none, bool, numbers, strings, lists, maps."""

    def walk(value: Any, level: int) -> None:
        if type(value) in (dict, list, tuple):
            if level == 0:
                raise ProtocolError(f"expected at most {depth} levels of nesting")
            if len(value) > most:
                raise ProtocolError(f"expected at most {most} items, got {len(value)}")
            items = value
            if type(value) is dict:
                if not all(type(key) is str and len(key) <= 64 for key in value):
                    raise ProtocolError("expected string keys of at most 64 characters")
                items = list(value.values())
            for item in items:
                walk(item, level - 1)
        elif type(value) is int:
            if not -(2**63) <= value <= INT64_MAX:
                raise ProtocolError("expected whole numbers of 64 bits")
        elif type(value) is str:
            if len(value) > 1024:
                raise ProtocolError(f"expected at most 1024 characters, got {len(value)}")
        elif value is not None and type(value) not in (bool, float):
            raise ProtocolError(f"expected plain values, got {type(value).__name__}")

    def check(value: Any) -> Mapping[str, Any]:
        if type(value) is not dict:
            raise ProtocolError(f"expected a map, got {_short(value)}")
        walk(value, depth)
        return value

    return check


def _short(value: Any) -> str:
    """The value for an error message: never longer than a line, whatever the peer sent."""
    if type(value) in (bytes, str, list, dict, tuple) and len(value) > 40:
        return f"{type(value).__name__} of {len(value)}"
    return f"{type(value).__name__} {value!r:.80}"
