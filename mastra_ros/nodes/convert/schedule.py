"""What the scheduler did, to mastra_ros/ScheduleState, and from there to sections of a status."""

from __future__ import annotations

import math
from typing import Any

from std_msgs.msg import Header

from ...errors import MessageError
from ...msg import LoadState, RouteSwitch, ScheduleState
from ...scheduling.arbiter.switches import Switch
from ...scheduling.summary import Spread, Summary
from ...statuses import SWITCHES_MAX
from ...types import Route
from .image import stamp_from_ros, stamp_to_ros

ORIGINS = tuple(route.value for route in Route)
REASON_MAX = 120
NAME_MAX = 120
UNKNOWN: Spread = (math.nan, math.nan)


def schedule_to_ros(
    summary: Summary, route: Route, superseded: int, load: LoadState, stamp_ns: int, now_ns: int
) -> ScheduleState:
    """Summary -> mastra_ros/ScheduleState; `now_ns` is the monotonic time of the ROS time given."""
    age, times, models = summary.age_ms or UNKNOWN, summary.inference_ms, summary.models
    local = times.get(Route.LOCAL, UNKNOWN)
    away = times.get(Route.CLOUD) or times.get(Route.SPLIT) or UNKNOWN
    return ScheduleState(
        header=Header(stamp=stamp_to_ros(stamp_ns)),
        route=route.value,
        local=summary.results.get(Route.LOCAL, 0),
        split=summary.results.get(Route.SPLIT, 0),
        cloud=summary.results.get(Route.CLOUD, 0),
        failed=summary.failed,
        superseded=superseded,
        age_p50_ms=age[0],
        age_p99_ms=age[1],
        local_p50_ms=local[0],
        local_p99_ms=local[1],
        away_p50_ms=away[0],
        away_p99_ms=away[1],
        local_model=models.get(Route.LOCAL, ""),
        away_model=models.get(Route.CLOUD) or models.get(Route.SPLIT, ""),
        switches=[
            _switch(switch, stamp_ns - (now_ns - switch.at_ns)) for switch in summary.switches
        ],
        switches_left_out=summary.switches_left_out,
        load=load,
    )


def _switch(switch: Switch, at_ns: int) -> RouteSwitch:
    return RouteSwitch(
        at=stamp_to_ros(at_ns),
        from_route=switch.from_route.value,
        to_route=switch.to_route.value,
        reason=switch.reason,
        latency_ms=switch.latency_ms,
    )


def schedule_sections(message: ScheduleState) -> dict[str, Any]:
    """mastra_ros/ScheduleState -> sections `route`, `models` and `load` of a status.

    Raises MessageError for routes that there are not.
    """
    routes = [message.route, *(s.from_route for s in message.switches)]
    routes += [switch.to_route for switch in message.switches]
    for route in routes:
        if route not in ORIGINS:
            raise MessageError(f"schedule: expected a route of {', '.join(ORIGINS)}, got {route!r}")
    results = {origin: int(getattr(message, origin)) for origin in ORIGINS}
    whole = sum(results.values())
    switches = message.switches[-SWITCHES_MAX:]
    route_told: dict[str, Any] = {
        "now": message.route,
        "results": results,
        "shares": {origin: round(n / whole, 4) for origin, n in results.items() if whole},
        "failed": int(message.failed),
        "superseded": int(message.superseded),
        "switches": [_switch_section(switch) for switch in switches],
        "switches_left_out": int(message.switches_left_out) + len(message.switches) - len(switches),
    }
    if age := _spread(message.age_p50_ms, message.age_p99_ms):
        route_told["age_ms"] = age
    models = {}
    for origin, prefix in (("local", "local"), ("cloud", "away")):
        p50, p99 = getattr(message, f"{prefix}_p50_ms"), getattr(message, f"{prefix}_p99_ms")
        name, _, version = getattr(message, f"{prefix}_model")[:NAME_MAX].rpartition(" ")
        told: dict[str, Any] = {"name": name or version, "version": version if name else ""}
        if times := _spread(p50, p99):
            told["inference_ms"] = times
        if told["name"] or times:
            models[origin] = told
    return {"route": route_told, "models": models, "load": _load(message.load)}


def _switch_section(switch: RouteSwitch) -> dict[str, Any]:
    told = {
        "at_ns": max(0, stamp_from_ros(switch.at)),
        "from": switch.from_route,
        "to": switch.to_route,
        "reason": switch.reason[:REASON_MAX],
    }
    return {**told, **known(latency_ms=switch.latency_ms)}


def _spread(p50: float, p99: float) -> dict[str, float]:
    return known(p50=p50, p99=p99)


def _load(load: LoadState) -> dict[str, Any]:
    told = known(
        cpu=load.cpu, memory=load.memory, temperature_c=load.temperature_c, clock=load.clock
    )
    return {**told, "throttled": bool(load.throttled), "queue_frames": int(load.queue_frames)}


def known(**numbers: float) -> dict[str, float]:
    """Those that are finite, rounded to what says something."""
    return {name: round(value, 4) for name, value in numbers.items() if math.isfinite(value)}
