"""From samples to what a page shows: rows, numbers and charts (options of Apache ECharts). Pure.

What a device has not told is None here and absent on the page: a missing sensor is not 0.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .fleet import Device, Sample
from .texts import text

WINDOW_S = 300.0
"""What a chart shows, up to now."""
GAP_S = 5.0
"""A line is broken where nothing was told for longer."""
ORIGINS = ("local", "split", "cloud", "cache")
ROWS_MAX = 50
INK = "#7d828a"
"""Of texts in charts: read on white and on black."""


def at(status: Mapping[str, Any], path: str) -> Any:
    """The value at `section.field…`; None where the status does not tell it."""
    found: Any = status
    for name in path.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found


def told(sample: Sample, path: str) -> Any:
    """As `at`, remembered with the sample."""
    try:
        return sample.found[path]
    except KeyError:
        found = sample.found[path] = at(sample.status, path)
        return found


def matching(devices: Iterable[Device], words: str, state: str = "") -> list[Device]:
    """Devices in which every word is found, in name, state, version or bundle; by name."""
    wanted = words.lower().split()
    return sorted(
        (
            one
            for one in devices
            if state in ("", one.state) and all(word in _haystack(one) for word in wanted)
        ),
        key=lambda one: one.name,
    )


def _haystack(device: Device) -> str:
    status = device.status
    parts = (
        device.name,
        device.state,
        at(status, "versions.mastra_ros"),
        at(status, "bundle.name"),
    )
    return " ".join(str(part) for part in (*parts, at(status, "bundle.digest")) if part).lower()


def fleet_row(device: Device, now_s: float, language: str) -> dict[str, Any]:
    """A row of the fleet's table, as texts."""
    row = device.rows.get(language)
    if row is None:
        row = device.rows[language] = _row(device, language)
    return {**row, "seen": ago(device.last_seen_s, now_s, language)}


def _row(device: Device, language: str) -> dict[str, Any]:
    status = device.status
    alarms = alarms_of(device)
    return {
        "name": device.name,
        "state": text(f"state.{device.state}", language),
        "route": at(status, "route.now") or "",
        "age": unit(at(status, "route.age_ms.p99"), "ms"),
        "cpu": percent(at(status, "load.cpu")),
        "temperature": unit(at(status, "load.temperature_c"), "°C"),
        "spool": str(at(status, "spool.packets") or ""),
        "version": at(status, "versions.mastra_ros") or "",
        "bundle": str(at(status, "bundle.digest") or "")[:12],
        "alarms": ", ".join(text(f"alarm.{one}", language) for one in alarms),
    }


def alarms_of(device: Device) -> list[str]:
    """What somebody should look at, the worst first; see ALARMS."""
    status = device.status
    levels = {
        str(one.get("level"))
        for one in (at(status, "diagnostics") or {}).values()
        if isinstance(one, Mapping)
    }
    found = {
        "silent": device.state == "silent",
        "error": "error" in levels or "stale" in levels,
        "cut": device.state == "connected" and at(status, "link.connected") is False,
        "privacy": at(status, "privacy.open") is False,
        "dropped": bool(at(status, "spool.dropped")),
        "throttled": at(status, "load.throttled") is True,
        "warn": "warn" in levels,
    }
    return [name for name, holds in found.items() if holds]


ALARMS = ("silent", "error", "cut", "privacy", "dropped", "throttled", "warn")


def ago(seen_s: float | None, now_s: float, language: str) -> str:
    """How long ago, in s, min or h."""
    if seen_s is None:
        return text("seen.never", language)
    passed_s = max(0.0, now_s - seen_s)
    for size_s, name in ((3600.0, "h"), (60.0, "min")):
        if passed_s >= size_s:
            return f"{passed_s / size_s:.0f} {name}"
    return f"{passed_s:.0f} s"


def unit(value: Any, name: str) -> str:
    """A number with its unit; empty where there is none."""
    return f"{value:.1f} {name}" if isinstance(value, (int, float)) else ""


def percent(value: Any) -> str:
    """A share in percent; empty where there is none."""
    return f"{100 * value:.0f} %" if isinstance(value, (int, float)) else ""


def cuts(samples: Sequence[Sample], silent_until_s: float = 0.0) -> list[tuple[float, float]]:
    """From when to when the link was down: as the device has told, or when nothing is heard of it.

    silent_until_s: it is not heard, from the last sample to this moment at least; 0 where it is.
    """
    found: list[tuple[float, float]] = []
    begun: float | None = None
    for sample in samples:
        connected = told(sample, "link.connected")
        if connected is False and begun is None:
            begun = sample.at_s
        elif connected is True and begun is not None:
            found.append((begun, sample.at_s))
            begun = None
    if samples and begun is None and silent_until_s > samples[-1].at_s:
        begun = samples[-1].at_s
    if begun is not None:
        found.append((begun, max(silent_until_s, samples[-1].at_s)))
    return found


def line(samples: Sequence[Sample], path: str, scale: float = 1.0) -> list[list[float | None]]:
    """Points (ms since 1970, value), with a hole where nothing was told.

    A point is made once and kept with its sample: pages ask for all of them again each second.
    """
    points: list[list[float | None]] = []
    key, before_s = (path, scale), math.inf
    for sample in samples:
        at_s = sample.at_s
        if at_s - before_s > GAP_S:
            points.append([1000 * (before_s + GAP_S), None])
        before_s = at_s
        point = sample.found.get(key)
        if point is None:
            point = sample.found[key] = _point(at_s, told(sample, path), scale)
        points.append(point)
    return points


def _point(at_s: float, value: Any, scale: float) -> list[float | None]:
    return [1000 * at_s, scale * value if isinstance(value, (int, float)) else None]


def chart(
    samples: Sequence[Sample],
    lines: Mapping[str, str],
    *,
    title: str,
    unit_name: str,
    now_s: float,
    cut_name: str,
    bands: Sequence[tuple[float, float]] = (),
    scale: float = 1.0,
    stacked: bool = False,
) -> dict[str, Any]:
    """Options of a chart over time with these lines (name: path).

    bands: cuts of the link, from when to when, each a coloured band.
    """
    series: list[dict[str, Any]] = []
    for name, path in lines.items():
        one: dict[str, Any] = {
            "type": "line",
            "name": name,
            "showSymbol": False,
            "data": line(samples, path, scale),
            "lineStyle": {"width": 2},
        }
        if stacked:
            one |= {"stack": "all", "areaStyle": {}}
        series.append(one)
    if series:
        series[0]["markArea"] = {
            "silent": True,
            "itemStyle": {"color": "rgba(213, 94, 0, 0.25)"},
            "label": {"show": False},
            "data": [
                [{"name": cut_name, "xAxis": 1000 * begin}, {"xAxis": 1000 * end}]
                for begin, end in bands
            ],
        }
    return {
        "animation": False,
        "title": {
            "text": f"{title} ({unit_name})" if unit_name else title,
            "left": 0,
            "textStyle": {"fontSize": 14, "color": INK},
        },
        "tooltip": {"trigger": "axis"},
        "textStyle": {"color": INK},
        "legend": {"top": 24, "left": 0, "textStyle": {"color": INK}},
        # Told apart by who does not see red and green (Okabe and Ito).
        "color": ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9"],
        "grid": {"left": 55, "right": 12, "top": 56, "bottom": 25},
        "xAxis": {
            "type": "time",
            "min": 1000 * (now_s - WINDOW_S),
            "max": 1000 * now_s,
            "axisLabel": {"color": INK},
        },
        "yAxis": {
            "type": "value",
            "min": 0,
            "axisLabel": {"color": INK},
            "splitLine": {"lineStyle": {"color": INK, "opacity": 0.3}},
        },
        "series": series,
    }


def device_charts(
    samples: Sequence[Sample], now_s: float, language: str, *, silent: bool = False
) -> list[dict[str, Any]]:
    """The charts of a device: ages, routes, link, load, temperature (where there is a sensor).

    silent: the device is not heard, which is a cut until it is.
    """
    samples = [one for one in samples if now_s - one.at_s <= WINDOW_S]
    bands = cuts(samples, now_s if silent else 0.0)

    def of(key: str, unit_name: str, lines: Mapping[str, str], **more: Any) -> dict[str, Any]:
        return chart(
            samples,
            lines,
            title=text(f"chart.{key}", language),
            unit_name=unit_name,
            now_s=now_s,
            cut_name=text("chart.cut", language),
            bands=bands,
            **more,
        )

    shares = {name: f"route.shares.{name}" for name in ORIGINS}
    seen = {name: path for name, path in shares.items() if _any(samples, path)}
    charts = [
        of("age", "ms", {"p50": "route.age_ms.p50", "p99": "route.age_ms.p99"}),
        of("route", "%", seen or {"local": shares["local"]}, scale=100.0, stacked=True),
        of("rtt", "ms", {text("chart.rtt", language): "link.rtt_ms"}),
        of("spool", "", {text("chart.packets", language): "spool.packets"}),
        of("load", "%", {"CPU": "load.cpu", "RAM": "load.memory"}, scale=100.0),
    ]
    if _any(samples, "load.temperature_c"):
        charts.append(of("temperature", "°C", {"°C": "load.temperature_c"}))
    return charts


def said(options: Mapping[str, Any], language: str) -> str:
    """A chart in words, for who does not see it: its title, the latest values, the cuts."""
    parts = [str(options["title"]["text"])]
    for one in options["series"]:
        values = [value for _, value in one["data"] if value is not None]
        if values:
            parts.append(f"{one['name']} {values[-1]:.1f}")
    bands = options["series"][0]["markArea"]["data"] if options["series"] else []
    for begin, end in bands:
        moments = (_clock(begin["xAxis"] / 1000), _clock(end["xAxis"] / 1000))
        parts.append(text("chart.cut_from", language, begin=moments[0], end=moments[1]))
    return ", ".join(parts)


def _clock(at_s: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at_s))


def as_text(values: Any) -> str:
    """A list of a parameter as it stands in a field: JSON."""
    return json.dumps(values)


def as_list(name: str, text_: Any) -> list[Any]:
    """The list that stands in a field; ValueError where none does."""
    try:
        values = json.loads(text_ or "[]")
    except ValueError:
        values = None
    if not isinstance(values, list):
        raise ValueError(f"{name}: expected a list such as [1, 2], got {text_!r:.60}")
    return values


def setting_state(
    name: str, wanted: Mapping[str, Any], status: Mapping[str, Any], language: str
) -> str:
    """What a device has done with a setting; empty where nothing was asked of it."""
    settings = at(status, "settings")
    settings = settings if isinstance(settings, Mapping) else {}
    taken = {**_mapped(settings, "values"), **_mapped(settings, "lists")}.get(name)
    if name not in wanted:
        return text("setting.taken", language, value=taken) if taken is not None else ""
    if taken == wanted[name]:
        return text("setting.taken", language, value=taken)
    if reason := _mapped(settings, "refused").get(name):
        return text("setting.refused", language, reason=reason)
    return text("setting.asked", language, value=wanted[name])


def in_force_of(status: Mapping[str, Any]) -> dict[str, Any]:
    """The live parameters of which a device says what they are; others are as they are declared.

    A device of before this was told says only what it has taken.
    """
    settings = at(status, "settings")
    settings = settings if isinstance(settings, Mapping) else {}
    if isinstance(settings.get("live"), Mapping):
        return {**_mapped(settings, "live"), **_mapped(settings, "live_lists")}
    return {**_mapped(settings, "values"), **_mapped(settings, "lists")}


def _mapped(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = settings.get(name)
    return dict(found) if isinstance(found, Mapping) else {}


def switches(samples: Sequence[Sample], most: int = 20) -> list[dict[str, Any]]:
    """The latest changes of the route, newest first: when, from, to, why."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for sample in samples:
        for one in told(sample, "route.switches") or ():
            key = (one.get("at_ns"), one.get("from"), one.get("to"))
            found[key] = dict(one)
    ordered = sorted(found.values(), key=lambda one: one.get("at_ns", 0), reverse=True)
    return ordered[:most]


def preview_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Rows of a preview as texts: each as it was, and as it would have been where that differs."""

    def both(row: Mapping[str, Any], say: Callable[[Mapping[str, Any]], str]) -> str:
        before, after = say(row["before"]), say(row["after"])
        return after if before == after else f"{before} \u2192 {after}"

    return [
        {
            "policy": f"{row['policy']} *" if row["in_use"] else str(row["policy"]),
            "local": both(row, lambda told: percent(told["shares"].get("local"))),
            "cloud": both(row, lambda told: percent(told["shares"].get("cloud"))),
            "in_time": both(row, lambda told: percent(told["in_time"])),
            "age": both(row, lambda told: unit(told["age_p99_ms"], "ms")),
            "switches": both(row, lambda told: str(told["switches"])),
        }
        for row in rows
    ]


def _any(samples: Sequence[Sample], path: str) -> bool:
    return any(told(sample, path) is not None for sample in samples)
