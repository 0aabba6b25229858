"""The numbers of a device above its charts, as far as it tells them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .fleet import Device
from .texts import text
from .views import at, percent, unit

LISTED_MAX = 12
"""Codecs, and counts of an application, that are named."""


def facts(device: Device, language: str) -> list[tuple[str, str]]:
    """Name and value of what a device tells, as far as it tells it."""
    status = device.status
    goodput = at(status, "link.goodput_bps")
    throttled = at(status, "load.throttled")
    digest = str(at(status, "bundle.digest") or "")
    told = {
        "fact.route": at(status, "route.now"),
        "fact.age": _spread(at(status, "route.age_ms")),
        "fact.pipeline": _counts(at(status, "pipeline")),
        "fact.model_local": _spread(at(status, "models.local.inference_ms")),
        "fact.model_cloud": _spread(at(status, "models.cloud.inference_ms")),
        "fact.model_split": _spread(at(status, "models.split.inference_ms")),
        "fact.rtt": unit(at(status, "link.rtt_ms"), "ms"),
        "fact.loss": percent(at(status, "link.loss")),
        "fact.goodput": unit(goodput / 1e6, "Mbit/s") if _is_number(goodput) else "",
        "fact.spool": _both(at(status, "spool.packets"), size(at(status, "spool.bytes") or None)),
        "fact.dropped": at(status, "spool.dropped") or "",
        "fact.sent": size(at(status, "link.uploaded_bytes")),
        "fact.codec": _codecs(at(status, "codecs")),
        "fact.cpu": percent(at(status, "load.cpu")),
        "fact.memory": percent(at(status, "load.memory")),
        "fact.temperature": unit(at(status, "load.temperature_c"), "°C"),
        "fact.throttled": (
            text("fact.yes" if throttled else "fact.no", language)
            if isinstance(throttled, bool)
            else ""
        ),
        "fact.bundle": _both(at(status, "bundle.name"), digest[:12]),
        "fact.version": at(status, "versions.mastra_ros"),
    }
    return [
        (text(key, language), str(value)) for key, value in told.items() if value not in (None, "")
    ]


def size(value: Any) -> str:
    """A number of bytes; empty where there is none."""
    if not _is_number(value):
        return ""
    for bytes_, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= bytes_:
            return f"{value / bytes_:.1f} {name}"
    return f"{value:.0f} B"


def _codecs(value: Any) -> str:
    """Each coding with what it took since the status before."""
    found = value if isinstance(value, Mapping) else {}
    parts = [_both(name, size(at(one, "bytes"))) for name, one in found.items() if _is_map(one)]
    return ", ".join(parts[:LISTED_MAX])


def _counts(value: Any) -> str:
    """What the application has counted, in its own words."""
    found = value if isinstance(value, Mapping) else {}
    parts = [f"{name} {count}" for name, count in found.items() if _is_number(count)]
    return ", ".join(parts[:LISTED_MAX])


def _both(first: Any, second: str) -> str:
    return " ".join(str(part) for part in (first, second) if part not in (None, ""))


def _spread(value: Any) -> str:
    if not isinstance(value, Mapping) or "p50" not in value:
        return ""
    return f"{value['p50']:.1f} / {value.get('p99', value['p50']):.1f} ms"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_map(value: Any) -> bool:
    return isinstance(value, Mapping)
