"""Reads typed fields out of a parsed YAML mapping and collects everything that is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Fields:
    """One mapping of a document. Sections share `problems`, so one reader sees them all.

    A getter whose field is missing or wrong notes a problem and returns an empty value of its
    type; the caller throws everything away when there are problems.
    """

    def __init__(
        self, values: Mapping[str, Any], where: str = "", problems: list[str] | None = None
    ) -> None:
        self._values = values
        self._where = where
        self._asked: set[str] = set()
        self.problems: list[str] = [] if problems is None else problems

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def problem(self, name: str, text: str) -> None:
        """Note what is wrong with the field `name`; "" is the section itself."""
        place = ".".join(part for part in (self._where, name) if part)
        self.problems.append(f"{place}: {text}")

    def text(self, name: str) -> str:
        """A string that is not empty."""
        value = self._get(name)
        if isinstance(value, str) and value:
            return value
        return self._wrong(name, "a text", value, "")

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of `choices`."""
        value = self._get(name)
        if isinstance(value, str) and value in choices:
            return value
        return self._wrong(name, f"one of {', '.join(choices)}", value, "")

    def integer(self, name: str, low: int, high: int) -> int:
        """An integer of `low` to `high`."""
        value = self._get(name)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        return self._wrong(name, f"an integer of {low} to {high}", value, low)

    def number(self, name: str, low: float, high: float) -> float:
        """A finite number of `low` to `high`."""
        value = self._get(name)
        if _is_number(value) and low <= value <= high:
            return float(value)
        return self._wrong(name, f"a number of {low:g} to {high:g}", value, low)

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        """A list of `count` finite numbers."""
        value = self._get(name)
        if isinstance(value, list) and len(value) == count and all(map(_is_number, value)):
            return tuple(float(item) for item in value)
        return self._wrong(name, f"a list of {count} numbers", value, ())

    def numbers_by(
        self, name: str, keys: tuple[int, int], limits: tuple[float, float]
    ) -> dict[int, float]:
        """A mapping of integers of `keys` (least, greatest) to numbers of `limits`, not empty."""
        value = self._get(name)
        if (
            isinstance(value, dict)
            and value
            and all(isinstance(key, int) and not isinstance(key, bool) for key in value)
            and all(map(_is_number, value.values()))
            and keys[0] <= min(value) <= max(value) <= keys[1]
            and limits[0] <= min(value.values()) <= max(value.values()) <= limits[1]
        ):
            return {key: float(item) for key, item in value.items()}
        expected = (
            f"numbers of {limits[0]:g} to {limits[1]:g} by integers of {keys[0]} to {keys[1]}"
        )
        return self._wrong(name, expected, value, {})

    def integers(self, name: str, low: int, high: int) -> tuple[int, ...]:
        """A list of integers of `low` to `high`, at least one."""
        value = self._get(name)
        if (
            isinstance(value, list)
            and value
            and all(isinstance(item, int) and not isinstance(item, bool) for item in value)
            and low <= min(value) <= max(value) <= high
        ):
            return tuple(value)
        return self._wrong(name, f"a list of integers of {low} to {high}", value, ())

    def strings(self, name: str) -> tuple[str, ...]:
        """A list of different strings, at least one, none of them empty."""
        value = self._get(name)
        if (
            not isinstance(value, list)
            or not value
            or not all(isinstance(item, str) and item for item in value)
        ):
            return self._wrong(name, "a list of different texts", value, ())
        if same := repeated(value):
            self.problem(name, f"expected different texts, got {same}")
            return ()
        return tuple(value)

    def mapping(self, name: str) -> dict[str, Any]:
        """A mapping, taken as it is."""
        value = self._get(name)
        if isinstance(value, dict):
            return value
        return self._wrong(name, "a mapping", value, {})

    def section(self, name: str) -> Fields:
        """A mapping to be read field by field."""
        where = ".".join(part for part in (self._where, name) if part)
        return Fields(self.mapping(name), where, self.problems)

    def nothing_else(self) -> None:
        """Note every field that nobody has asked for: it is misspelt or of another format."""
        for name in self._values:
            if name not in self._asked:
                self.problem(str(name), "unknown field")

    def _get(self, name: str) -> Any:
        self._asked.add(name)
        return self._values.get(name)

    def _wrong(self, name: str, expected: str, value: object, instead: T) -> T:
        if name in self._values:
            self.problem(name, f"expected {expected}, got {value!r:.80}")
        else:
            self.problem(name, f"missing, expected {expected}")
        return instead


def repeated(texts: Sequence[str]) -> str:
    """Which texts stand in a list more than once, and at which places counted from 0; or empty."""
    places: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        places.setdefault(text, []).append(place)
    told = [
        f"{text!r:.60} at {', '.join(map(str, found[:5]))}"
        for text, found in places.items()
        if len(found) > 1
    ]
    return "; ".join(told[:5]) + (f" and {len(told) - 5} others" if len(told) > 5 else "")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
