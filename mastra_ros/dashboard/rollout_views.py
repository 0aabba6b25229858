"""From what a gateway tells of a roll-out to what a page shows of it: texts and rows. Pure."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .fleet import Device
from .texts import text
from .views import at, percent, unit

PHASES = ("running", "done", "back", "rolled_back")
STATES = ("waiting", "given", "has", "had", "refused", "leaving", "before", "unknown", "untouched")
"""Of a device in a roll-out; each is a text `rolled.…`."""
DIGEST_CHARACTERS = 12


def phase(one: Mapping[str, Any], language: str) -> str:
    """How a roll-out is; the gateway's own word where this version knows none for it."""
    name = str(one.get("phase", ""))
    if name not in PHASES:
        return name
    return text(
        "rollout.paused" if name == "running" and one.get("paused") else f"rollout.{name}", language
    )


def stage(one: Mapping[str, Any], language: str) -> str:
    """Which stage it has come to, and how many devices that are."""
    stages = _list(one.get("stages"))
    place = min(int(_number(one.get("stage"))), max(0, len(stages) - 1))
    if not stages:
        return ""
    share = _number(stages[place])
    return text(
        "rollout.stage",
        language,
        place=place + 1,
        stages=len(stages),
        share=f" ({percent(share)})" if share > 0 else "",  # none: the one device
        reached=len(reached_by(one)),
        devices=len(_list(one.get("devices"))),
    )


def share_switched(one: Mapping[str, Any]) -> float:
    """Of its devices, those that have had its bundle; none where it went back."""
    devices = _list(one.get("devices"))
    going = one.get("phase") in ("running", "done")
    return len(one.get("switched") or {}) / len(devices) if devices and going else 0.0


def reached_by(one: Mapping[str, Any]) -> list[str]:
    """The devices of the stages so far, as the gateway reckons them."""
    devices, stages = _list(one.get("devices")), _list(one.get("stages"))
    place = min(int(_number(one.get("stage"))), max(0, len(stages) - 1))
    share = _number(stages[place]) if stages else 0.0
    return [str(name) for name in devices[: max(1, math.ceil(share * len(devices)))]]


def soak(one: Mapping[str, Any], now_s: float, language: str) -> str:
    """What is still to wait for in this stage; empty where nothing is."""
    if one.get("phase") != "running" or one.get("paused"):
        return ""
    since_s = _number(one.get("soaking_s"), -1.0)
    if since_s < 0:
        return text("rollout.not_all", language)
    left_s = max(0.0, _number(one.get("soak_s")) - (now_s - since_s))
    return text("rollout.soaks", language, left=span(left_s))


def span(seconds: float) -> str:
    """A time that is left, in s, min or h."""
    for size_s, name in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size_s:
            return f"{seconds / size_s:.0f} {name}"
    return f"{math.ceil(seconds)} s"


def mark(one: Mapping[str, Any]) -> str:
    """What devices call it in their status."""
    return f"{one.get('id')}.{int(_number(one.get('begun_s')))}"


def state_of(one: Mapping[str, Any], name: str, device: Device | None) -> tuple[str, str]:
    """How a device is in a roll-out (one of STATES), and why where it has refused it."""
    bundles = [] if device is None else [at(status, "bundle") for status in device.streams.values()]
    told = next((bundle for bundle in bundles if isinstance(bundle, Mapping)), {})
    given = name in (one.get("told") or {})
    has = told.get("digest") == one.get("digest")
    if one.get("phase") in ("back", "rolled_back"):
        if not given:
            return "untouched", ""
        if has:
            return "leaving", ""
        known = bool(told.get("digest")) and device is not None and device.heard
        return ("before" if known else "unknown"), _refusal(one, told)
    if has:
        return ("has" if given else "had"), ""
    if not given:
        return "waiting", ""
    why = _refusal(one, told)
    return ("refused" if why else "given"), why


def _refusal(one: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    return str(told.get("refused", "")) if told.get("rollout") == mark(one) else ""


def device_rows(
    one: Mapping[str, Any], devices: Mapping[str, Device], language: str, first: int, most: int
) -> list[dict[str, Any]]:
    """Rows of the devices of a roll-out in its order, from the place `first` on."""
    rows = []
    switched = one.get("switched") or {}
    for name in map(str, _list(one.get("devices"))[first : first + most]):
        device = devices.get(name)
        state, why = state_of(one, name, device)
        status = {} if device is None else device.status
        own = at(status, "bundle.rollout") == mark(one)
        rows.append(
            {
                "name": name,
                "state": text(f"state.{device.state}", language) if device else "",
                "bundle": text(f"rolled.{state}", language) + (f": {why}" if why else ""),
                "since": moment(switched.get(name)),
                "agreement": _agreement(at(status, "bundle.agreement") if own else None),
                "age": unit(at(status, "route.age_ms.p99"), "ms"),
            }
        )
    return rows


def _agreement(value: Any) -> str:
    return f"{100 * value:.0f} %" if isinstance(value, (int, float)) and value >= 0 else ""


def past_rows(kept: Sequence[Mapping[str, Any]], language: str) -> list[dict[str, Any]]:
    """Rows of all roll-outs, the newest first."""
    return [
        {
            "id": one.get("id"),
            "at": moment(one.get("begun_s")),
            "bundle": named(one),
            "who": str(one.get("who", "")),
            "phase": phase(one, language),
            "reason": str(one.get("reason", "")),
        }
        for one in kept
    ]


def named(one: Mapping[str, Any]) -> str:
    """A bundle by its name, version and digest, as far as they are told."""
    digest = str(one.get("digest", ""))[:DIGEST_CHARACTERS]
    return " ".join(
        part for part in (str(one.get("name", "")), str(one.get("version", "")), digest) if part
    )


def choices(bundles: Any) -> tuple[dict[str, str], list[str]]:
    """Bundles that can be rolled out, by name; and what is wrong with the others."""
    good: dict[str, str] = {}
    wrong: list[str] = []
    for one in _list(bundles):
        if not isinstance(one, Mapping) or not isinstance(one.get("name"), str):
            continue
        if "error" in one:
            wrong.append(f"{one['name']}: {one['error']}")
        else:
            good[one["name"]] = named(one)
    return good, wrong


def moment(at_s: Any) -> str:
    """A time of day with its date; empty for what is none."""
    number = isinstance(at_s, (int, float)) and math.isfinite(at_s) and 0 < at_s < 1e11
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_s)) if number else ""


def _number(value: Any, without: float = 0.0) -> float:
    good = isinstance(value, (int, float)) and math.isfinite(value)
    return float(value) if good else without


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []
