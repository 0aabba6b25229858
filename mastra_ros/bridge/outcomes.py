"""What became of the settings that the gateway asked for, as the status tells it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REFUSED_MAX = 16
"""Refused settings that are told; of more, the latest."""
VALUES_MAX = 64
NAME_CHARACTERS_MAX = 64
REASON_CHARACTERS_MAX = 120


class SettingOutcomes:
    """The settings that are in force because the gateway asked, and those refused, with the reason.

    Not thread-safe.
    """

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._refused: dict[str, str] = {}

    def taken(self, name: str, value: Any) -> None:
        """A node has taken this; a refusal of before counts no more."""
        self._refused.pop(_line(name), None)
        if name in self._values or len(self._values) < VALUES_MAX:
            self._values[name] = list(value) if isinstance(value, tuple) else value

    def refused(self, name: str, reason: str) -> None:
        """This was not taken; what was in force before still is."""
        line = _line(name)
        self._refused.pop(line, None)  # the latest comes last
        self._refused[line] = reason[:REASON_CHARACTERS_MAX]
        while len(self._refused) > REFUSED_MAX:
            del self._refused[next(iter(self._refused))]

    def told(self) -> dict[str, Mapping[str, Any]]:
        """The section `settings` of a status; empty while nothing was asked for."""
        if not self._values and not self._refused:
            return {}
        lists = {name: one for name, one in self._values.items() if isinstance(one, list)}
        values = {name: one for name, one in self._values.items() if name not in lists}
        told: dict[str, Mapping[str, Any]] = {"values": values, "refused": dict(self._refused)}
        return {**told, "lists": lists} if lists else told


def _line(name: str) -> str:
    return ascii(name)[1:-1][:NAME_CHARACTERS_MAX]
