"""Prices and assumptions, read from a YAML file that the user edits: config/prices.yaml."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError

Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Device:
    """A computer beside a camera."""

    price: float
    life_years: float
    power_w: float
    cores: float
    speed: float  # of a core, as a multiple of the one that measured the bundle


@dataclass(frozen=True)
class Server:
    """An instance rented by the hour."""

    price_hour: float
    cores: float
    speed: float


@dataclass(frozen=True)
class Prices:
    """Everything in the file, checked."""

    as_of: str
    currency: str
    device_with_model: Device
    device_without_model: Device
    server: Server
    uplink_per_gb: float
    ingress_per_gb: float
    electricity_per_kwh: float
    load_max: float
    link_availability: float
    stream_bytes_per_px: float
    single_bytes_per_px: float
    escalation: Curve  # share sent, part of the gain: both rise from 0 to 1

    def share_for(self, gain: float) -> float:
        """The least share of frames to send for this part of the gain."""
        for (share_a, gain_a), (share_b, gain_b) in pairwise(self.escalation):
            if gain <= gain_a:
                return share_a
            if gain <= gain_b:
                return share_a + (share_b - share_a) * (gain - gain_a) / (gain_b - gain_a)
        return self.escalation[-1][0]

    def gain_of(self, share: float) -> float:
        """The part of the gain that sending this share brings."""
        for (share_a, gain_a), (share_b, gain_b) in pairwise(self.escalation):
            if share <= share_b:
                return gain_a + (gain_b - gain_a) * (share - share_a) / (share_b - share_a)
        return self.escalation[-1][1]


_DEVICE = {
    "price": (0.0, 1e6),
    "life_years": (0.1, 100.0),
    "power_w": (0.0, 1e4),
    "cores": (0.1, 1024.0),
    "speed": (0.01, 1000.0),
}
_SECTIONS: dict[str, dict[str, tuple[float, float]]] = {
    "device_with_model": _DEVICE,
    "device_without_model": _DEVICE,
    "server": {"price_hour": (0.0, 1e4), "cores": (0.1, 4096.0), "speed": (0.01, 1000.0)},
    "traffic": {"uplink_per_gb": (0.0, 1e4), "ingress_per_gb": (0.0, 1e4)},
    "upload": {"stream_bytes_per_px": (1e-4, 4.0), "single_bytes_per_px": (1e-4, 4.0)},
    "": {
        "electricity_per_kwh": (0.0, 100.0),
        "load_max": (0.05, 1.0),
        "link_availability": (0.0, 1.0),
    },
}
_OTHERS = ("as_of", "currency", "escalation")


def load_prices(path: Path | str) -> Prices:
    """Read and check the file; ConfigError names it and everything that is wrong with it."""
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a mapping, got {type(content).__name__}")
    problems: list[str] = []
    values = {name: _section(content, name, problems) for name in _SECTIONS}
    known = {name for name in _SECTIONS if name} | set(_SECTIONS[""]) | set(_OTHERS)
    problems += [f"{name}: unknown field" for name in content if name not in known]
    curve = _curve(content.get("escalation"), problems)
    as_of, currency = content.get("as_of"), content.get("currency")
    if not isinstance(as_of, datetime.date):
        problems.append(f"as_of: expected a date such as 2026-11-22, got {as_of!r}")
    if not isinstance(currency, str) or not currency:
        problems.append(f"currency: expected a name, got {currency!r}")
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}")
    return Prices(
        as_of=str(as_of),
        currency=str(currency),
        device_with_model=Device(**values["device_with_model"]),
        device_without_model=Device(**values["device_without_model"]),
        server=Server(**values["server"]),
        escalation=curve,
        **values["traffic"],
        **values["upload"],
        **values[""],
    )


def _section(content: Mapping[str, Any], name: str, problems: list[str]) -> dict[str, float]:
    found = content.get(name) if name else content
    if not isinstance(found, dict):
        problems.append(f"{name}: expected a mapping, got {found!r:.40}")
        return {}
    prefix = f"{name}." if name else ""
    values: dict[str, float] = {}
    for field, (low, high) in _SECTIONS[name].items():
        value: Any = found.get(field)
        if type(value) in (int, float) and low <= value <= high:
            values[field] = float(value)
        else:
            problems.append(f"{prefix}{field}: expected {low:g} to {high:g}, got {value!r:.40}")
    if name:
        fields = _SECTIONS[name]
        problems += [f"{prefix}{field}: unknown field" for field in found if field not in fields]
    return values


def _curve(found: object, problems: list[str]) -> Curve:
    points: list[tuple[float, float]] = []
    for pair in found if isinstance(found, list) else []:
        numbers = isinstance(pair, list) and all(
            isinstance(x, (int, float)) and not isinstance(x, bool) for x in pair
        )
        if numbers and len(pair) == 2:
            points.append((float(pair[0]), float(pair[1])))
    rising = all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(points))
    whole = isinstance(found, list) and len(found) == len(points) >= 2
    ends = whole and points[0] == (0.0, 0.0) and points[-1][0] == 1.0
    if not (rising and ends and math.isclose(points[-1][1], 1.0)):
        problems.append("escalation: expected pairs that rise from [0, 0] to [1, 1]")
    return tuple(points)
