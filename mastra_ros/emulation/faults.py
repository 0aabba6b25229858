"""Faults of a link and when they happen: the grammar of `--fault`, and the link at any moment.

A specification is a list, separated by commas, of `kind[=value]@start[..end]`:

    down@5s..15s          nothing passes; connections that exist are lost, new ones get no answer
    stall@5s..8s          connections are accepted and kept, but no byte moves until the end
    delay=120ms@2s..8s    the round trip grows by 120 ms: half of it in each direction
    rate=1mbit@3s..9s     each direction carries at most 1 Mbit/s
    reset@7s              every connection is reset (RST) at that moment

Times are `ms` or `s` since the start of the clock, rates `kbit`, `mbit` or `gbit` a second.
Without an end a fault lasts for good. Where faults overlap, delays add and the lowest rate counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ConfigError

TIME_UNITS_S = {"ms": 1e-3, "s": 1.0}
RATE_UNITS_BPS = {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
KINDS = ("down", "stall", "delay", "rate", "reset")

_ITEM = re.compile(r"([a-z]+)(?:=([^@]*))?@(.*)", re.DOTALL)
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([a-z]+)")


@dataclass(frozen=True)
class Fault:
    """One fault from `start_s` to `end_s`; `value` is s (delay) or bits a second (rate)."""

    kind: str
    start_s: float
    end_s: float = math.inf
    value: float = 0.0

    def covers(self, t_s: float) -> bool:
        """Whether the fault is on at `t_s`."""
        return self.start_s <= t_s < self.end_s


@dataclass(frozen=True)
class DirectionShape:
    """What one direction does to bytes."""

    delay_s: float = 0.0
    rate_bps: float = math.inf


@dataclass(frozen=True)
class LinkShape:
    """The link at one moment: `up` is from the client to the server."""

    up: DirectionShape = DirectionShape()
    down: DirectionShape = DirectionShape()
    cut: bool = False
    stalled: bool = False


def parse_faults(specification: str) -> tuple[Fault, ...]:
    """Read a `--fault` specification; ConfigError names the position of what is wrong."""
    faults = []
    position = 1
    for item in specification.split(",") if specification.strip() else ():
        start = position + len(item) - len(item.lstrip())
        faults.append(_parse_item(item.strip(), start))
        position += len(item) + 1
    return tuple(faults)


def link_at(faults: Sequence[Fault], t_s: float) -> LinkShape:
    """The shape of the link `t_s` after the start of the clock."""
    on = [fault for fault in faults if fault.covers(t_s)]
    delay_s = sum(fault.value for fault in on if fault.kind == "delay")
    rate_bps = min((fault.value for fault in on if fault.kind == "rate"), default=math.inf)
    one_way = DirectionShape(delay_s / 2, rate_bps)
    kinds = {fault.kind for fault in on}
    return LinkShape(one_way, one_way, cut="down" in kinds, stalled="stall" in kinds)


def next_change_s(faults: Sequence[Fault], t_s: float) -> float:
    """When, after `t_s`, the link changes or resets next; infinity when it never does."""
    moments = [moment for fault in faults for moment in (fault.start_s, fault.end_s)]
    return min((moment for moment in moments if moment > t_s), default=math.inf)


def resets_between(faults: Sequence[Fault], after_s: float, until_s: float) -> bool:
    """Whether connections are reset at a moment in (after_s, until_s]."""
    return any(fault.kind == "reset" and after_s < fault.start_s <= until_s for fault in faults)


def _parse_item(item: str, position: int) -> Fault:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise ConfigError(
            f"fault at position {position}: expected kind[=value]@start[..end], got {item!r}"
        )
    kind, value, times = match.groups()
    if kind not in KINDS:
        raise ConfigError(
            f"fault at position {position}: expected one of {', '.join(KINDS)}, got {kind!r}"
        )
    value_at = position + match.start(2) if value is not None else position
    amount = _value(kind, value, value_at)
    begin, dots, end = times.partition("..")
    start_s = _quantity(begin, TIME_UNITS_S, position + match.start(3))
    if kind == "reset":
        if dots:
            raise ConfigError(f"fault at position {position}: reset is a moment and has no end")
        return Fault(kind, start_s, start_s)
    if not dots:
        return Fault(kind, start_s, value=amount)
    end_at = position + match.start(3) + len(begin) + len(dots)
    end_s = _quantity(end, TIME_UNITS_S, end_at)
    if end_s <= start_s:
        raise ConfigError(
            f"fault at position {end_at}: expected an end after {start_s:g} s, got {end_s:g} s"
        )
    return Fault(kind, start_s, end_s, amount)


def _value(kind: str, text: str | None, position: int) -> float:
    units = {"delay": TIME_UNITS_S, "rate": RATE_UNITS_BPS}.get(kind)
    if units is None:
        if text is not None:
            raise ConfigError(f"fault at position {position}: {kind} takes no value, got {text!r}")
        return 0.0
    if text is None:
        raise ConfigError(
            f"fault at position {position}: {kind} needs a value, such as "
            + ("delay=120ms" if kind == "delay" else "rate=1mbit")
        )
    amount = _quantity(text, units, position)
    if kind == "rate" and amount <= 0:
        raise ConfigError(f"fault at position {position}: expected a rate above 0, got {text!r}")
    return amount


def _quantity(text: str, units: dict[str, float], position: int) -> float:
    match = _QUANTITY.fullmatch(text)
    if match is None or match.group(2) not in units:
        raise ConfigError(
            f"fault at position {position}: expected a number with unit "
            f"{' or '.join(units)}, got {text!r}"
        )
    return float(match.group(1)) * units[match.group(2)]
