"""Reads faults: a specification of `--fault`, or a script file. The grammar stands in `faults.py`.

A script has one fault a line, `#` starts a comment, and traces are looked for beside the script:

    # a tunnel on the way to work
    up:trace=driving.up@0s
    down:trace=driving.down@0s
    down@30s..42s
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from ..errors import ConfigError
from ..share import home_path
from .faults import BOTH, Fault
from .trace import load_trace

TIME_UNITS_S = {"ms": 1e-3, "s": 1.0}
RATE_UNITS_BPS = {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
SHARE_UNITS = {"%": 0.01}
LOSS_MAX = 0.5
"""Above this TCP is no link any more; `down` says that."""

EXAMPLES = {
    "delay": "delay=120ms",
    "jitter": "jitter=30ms",
    "loss": "loss=2%",
    "rate": "rate=1mbit",
    "trace": "trace=FILE",
}
"""Kinds that need a value."""
UNITS = {
    "delay": TIME_UNITS_S,
    "jitter": TIME_UNITS_S,
    "loss": SHARE_UNITS,
    "rate": RATE_UNITS_BPS,
}
KINDS = ("down", "stall", "reset", *EXAMPLES)
WHOLE = ("down", "reset")
"""What happens to the link as a whole."""

_ITEM = re.compile(r"(?:(up|down):)?([a-z]+)(?:=([^@]*))?@(.*)", re.DOTALL)
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([a-z]+|%)")
_SCRIPT_BYTES_MAX = 1_048_576


def read_faults(specification: str) -> tuple[Fault, ...]:
    """Faults of a specification, or those of the script FILE where it is `@FILE`."""
    text = specification.strip()
    return read_script(text[1:]) if text.startswith("@") else parse_faults(text)


def read_script(path: Path | str) -> tuple[Fault, ...]:
    """Faults of a script file; ConfigError names file and line of what is wrong."""
    path = home_path(path)
    try:
        if path.stat().st_size > _SCRIPT_BYTES_MAX:
            raise ConfigError(f"script {path}: expected at most {_SCRIPT_BYTES_MAX} bytes")
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"script {path}: cannot be read: {error}") from None
    faults: list[Fault] = []
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        try:
            faults += parse_faults(text, path.parent)
        except ConfigError as error:
            raise ConfigError(f"script {path}, line {number}: {error}") from None
    if not faults:
        raise ConfigError(f"script {path}: expected faults, one a line, got none")
    return tuple(faults)


def parse_faults(specification: str, folder: Path | None = None) -> tuple[Fault, ...]:
    """Read a specification; ConfigError names the position of what is wrong.

    folder: where traces are looked for, instead of the working directory.
    """
    faults = []
    position = 1
    for item in specification.split(",") if specification.strip() else ():
        start = position + len(item) - len(item.lstrip())
        faults.append(_parse_item(item.strip(), start, folder or Path()))
        position += len(item) + 1
    return tuple(faults)


def _parse_item(item: str, position: int, folder: Path) -> Fault:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise _wrong(position, f"expected kind[=value]@start[..end], got {item!r}")
    direction, kind, value, times = match.groups()
    if kind not in KINDS:
        raise _wrong(position, f"expected one of {', '.join(KINDS)}, got {kind!r}")
    if direction and kind in WHOLE:
        raise _wrong(position, f"{kind} happens to the link as a whole, not to {direction} alone")
    value_at = position + match.start(3) if value is not None else position
    fault = _valued(kind, value, value_at, folder)
    begin, dots, end = times.partition("..")
    start_s = _quantity(begin, TIME_UNITS_S, position + match.start(4))
    fault = replace(fault, start_s=start_s, direction=direction or BOTH)
    if kind == "reset":
        if dots:
            raise _wrong(position, "reset is a moment and has no end")
        return replace(fault, end_s=start_s)
    if not dots:
        return fault
    end_at = position + match.start(4) + len(begin) + len(dots)
    end_s = _quantity(end, TIME_UNITS_S, end_at)
    if end_s <= start_s:
        raise _wrong(end_at, f"expected an end after {start_s:g} s, got {end_s:g} s")
    return replace(fault, end_s=end_s)


def _valued(kind: str, text: str | None, position: int, folder: Path) -> Fault:
    if kind not in EXAMPLES:
        if text is not None:
            raise _wrong(position, f"{kind} takes no value, got {text!r}")
        return Fault(kind, 0.0)
    if not text:
        raise _wrong(position, f"{kind} needs a value, such as {EXAMPLES[kind]}")
    if kind == "trace":
        try:
            return Fault(kind, 0.0, trace=load_trace(folder / home_path(text)))
        except ConfigError as error:
            raise _wrong(position, str(error)) from None
    amount = _quantity(text, UNITS[kind], position)
    if kind == "rate" and amount <= 0:
        raise _wrong(position, f"expected a rate above 0, got {text!r}")
    if kind == "loss" and amount > LOSS_MAX:
        raise _wrong(position, f"expected a loss of at most {LOSS_MAX:.0%}, got {text!r}")
    return Fault(kind, 0.0, value=amount)


def _quantity(text: str, units: dict[str, float], position: int) -> float:
    match = _QUANTITY.fullmatch(text)
    if match is None or match.group(2) not in units:
        raise _wrong(position, f"expected a number with unit {' or '.join(units)}, got {text!r}")
    return float(match.group(1)) * units[match.group(2)]


def _wrong(position: int, text: str) -> ConfigError:
    return ConfigError(f"fault at position {position}: {text}")
