"""What each policy would have done on a device's last minutes, with parameters as they are and as
somebody wants them: the simulator on a link and load made of the statuses. Pure.

A status tells the link as the device has measured it (round trip, loss, goodput), what the device
did, how loaded it is and how long both models take. What it does not tell comes from the shipped
table of stages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np

from ..config import SchedulingConfig, build
from ..config.parameter import parameters_of
from ..errors import ConfigError
from ..types import Route
from .accuracy import AccuracyTable
from .compare import CHOICES, config_for
from .load_trace import LoadTrace
from .stage_times import StageTimes, load_stage_times
from .trace import LinkTrace, Table
from .world import Run, Scenario, World

STAGE = "scheduling."
SAMPLES_MIN = 5
SPAN_MAX_S = 300.0
"""Of the statuses, the latest so many seconds."""
FRAMES_MAX = 1500
"""Beyond it the rate of the frames is lowered: a preview is for looking, and waits are short."""
RATE_HZ_MAX = 60.0
UNKNOWN_BPS = 20e6
"""Rate of a link on which nothing was sent."""
CUT_BPS = 1.0
"""Rate of a link that is cut: nothing arrives in time, and a trace has no end without one."""
CUT_RTT_MS = 1000.0
NUMBER_MAX = 1e12
"""What is as large (a Tbit/s, decades in ms) was not measured, and is as if it were not told."""

INFERENCE_MIN_MS = 1e-6
PACKET_BYTES_MAX = 1e9


def preview(
    samples: Sequence[Mapping[str, Any]],
    at_s: Sequence[float],
    changes: Mapping[str, Any],
    now: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """A row for each policy, without and with `changes`.

    samples: statuses, at the times `at_s` in s, rising. changes: new values by parameter, with or
    without `scheduling.` before it; `now`: those that differ from the defaults today.

    A row: policy, in_use (whether the device would run this one), and for `before` and `after`
    each a map of frames, shares (by route, of all frames), in_time (share within the deadline),
    age_p99_ms (None without a result) and switches. Raises ConfigError for too few samples, times
    that do not rise, or parameters and values that there are not.
    """
    if len(samples) != len(at_s):
        raise ConfigError(f"preview: expected a time for each sample, got {len(at_s)}")
    if any(not a < b for a, b in pairwise(at_s)):
        raise ConfigError("preview: expected times that rise")
    kept = [
        (sample, at)
        for sample, at in zip(samples, at_s, strict=True)
        if at >= at_s[-1] - SPAN_MAX_S
    ]
    if len(kept) < SAMPLES_MIN:
        raise ConfigError(f"preview: expected {SAMPLES_MIN} statuses at least, got {len(kept)}")
    old = _built(now or {})
    new = _built({**_plain(now or {}), **_plain(changes)})
    scenario = scenario_of([sample for sample, _ in kept], [at for _, at in kept], old)
    rows = []
    for name in CHOICES:
        told = {}
        for when, config in (("before", old), ("after", new)):
            case = replace(scenario, deadline_ms=config.deadline_ms)
            run = World(case, config_for(name, replace(config, split=case.stages.split))).run()
            told[when] = _told(case, run)
        rows.append({"policy": name, "in_use": name == _name(new), **told})
    return rows


def scenario_of(
    samples: Sequence[Mapping[str, Any]], at_s: Sequence[float], config: SchedulingConfig
) -> Scenario:
    """The device's last minutes as the simulator knows them."""
    start_ms = np.asarray([(at - at_s[0]) * 1e3 for at in at_s])
    duration_s = max(at_s[-1] - at_s[0], 1.0)
    results = sum(
        sum(_counts(one)) + _number(one, "route", "superseded", default=0.0) for one in samples[1:]
    )
    rate_hz = min(max(results / duration_s, 1.0), RATE_HZ_MAX, FRAMES_MAX / duration_s)
    return Scenario(
        trace=_trace(samples, start_ms),
        stages=_stages(samples),
        accuracy=AccuracyTable.from_f_scores(
            config.accuracy_local, config.accuracy_cloud, "parameters"
        ),
        load=_load(samples, start_ms),
        rate_hz=rate_hz,
        duration_s=duration_s,
        deadline_ms=config.deadline_ms,
    )


def _trace(samples: Sequence[Mapping[str, Any]], start_ms: Any) -> LinkTrace:
    rates, trips, losses = [], [], []
    rtt_ms, rate_bps = 0.0, 0.0
    known = [_number(one, "link", "goodput_bps") for one in samples]
    usual_bps = median([one for one in known if one > 0] or [UNKNOWN_BPS])
    for one in samples:
        up = bool(one.get("link", {}).get("connected", False))
        told_ms, told_bps = (_number(one, "link", name) for name in ("rtt_ms", "goodput_bps"))
        rtt_ms = told_ms if told_ms >= 0 else rtt_ms
        rate_bps = told_bps if told_bps > 0 else rate_bps or usual_bps
        loss = _number(one, "link", "loss")
        rates.append(max(rate_bps, CUT_BPS) if up else CUT_BPS)
        trips.append(rtt_ms if up else max(rtt_ms, CUT_RTT_MS))
        losses.append(min(loss, 0.9) if up and loss >= 0 else 0.0)
    table = Table(start_ms, np.asarray(rates), np.asarray(trips), np.asarray(losses), seed=1)
    return LinkTrace("the last minutes", table, table, median(trips))


def _load(samples: Sequence[Mapping[str, Any]], start_ms: Any) -> LoadTrace:
    """What others take: all that is used, less what the own model has taken in that time."""
    cpu, memory = [], []
    for place, one in enumerate(samples):
        span_ms = float(start_ms[place] - start_ms[place - 1]) if place else 1000.0
        busy_ms = _number(one, "models", "local", "inference_ms", "p50", default=0.0)
        local = _number(one, "route", "results", "local", default=0.0)
        own = min(1.0, busy_ms * local / max(span_ms, 1.0))
        used = _number(one, "load", "cpu", default=0.0)
        cpu.append(min(max(used - own, 0.0), 1.0))
        memory.append(min(max(_number(one, "load", "memory", default=0.3), 0.0), 1.0))
    return LoadTrace(tuple(float(ms) for ms in start_ms), tuple(cpu), tuple(memory))


def _stages(samples: Sequence[Mapping[str, Any]]) -> StageTimes:
    told: dict[str, Any] = {}
    for origin, name in (("local", "local_ms"), ("cloud", "cloud_ms")):
        known = [_number(one, "models", origin, "inference_ms", "p50") for one in samples]
        if known := [one for one in known if one >= INFERENCE_MIN_MS]:
            told[name] = median(known)
    packets = sum(_number(c, "packets", default=0.0) for c in _codecs(samples))
    size = sum(_number(c, "bytes", default=0.0) for c in _codecs(samples))
    stages = load_stage_times()
    if packets >= 1 and size >= 1:
        each = min(max(size / packets, 1.0), PACKET_BYTES_MAX)
        scale = each / stages.delta_bytes
        told |= {"delta_bytes": each, "key_bytes": stages.key_bytes * scale}
    return replace(stages, **told)


def _codecs(samples: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for one in samples:
        yield from one.get("codecs", {}).values()


def _counts(sample: Mapping[str, Any]) -> list[float]:
    return [_known(count, 0.0) for count in sample.get("route", {}).get("results", {}).values()]


def _number(sample: Any, *names: str, default: float = -1.0) -> float:
    """A number of a status, where it is told."""
    for name in names:
        sample = sample.get(name) if isinstance(sample, Mapping) else None
    return _known(sample, default)


def _known(value: Any, default: float) -> float:
    """A number that may have been measured; a device may tell anything, also an endless integer."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number and abs(value) < NUMBER_MAX else default


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """By the names of the stage; those of other stages mean nothing here."""
    return {
        name.removeprefix(STAGE): value
        for name, value in values.items()
        if name.startswith(STAGE) or "." not in name
    }


def _built(values: Mapping[str, Any]) -> SchedulingConfig:
    plain = _plain(values)
    live = {name for name, one in parameters_of(SchedulingConfig).items() if one.live}
    if fixed := sorted(set(plain) - live):
        raise ConfigError(f"preview: {fixed[0]!r:.60}: expected a live parameter of scheduling")
    return build(SchedulingConfig, plain)


def _name(config: SchedulingConfig) -> str:
    """Of the policy that these parameters run, as CHOICES names it."""
    return f"always-{config.route}" if config.policy == "fixed" else config.policy


def _told(scenario: Scenario, run: Run) -> dict[str, Any]:
    ages = [age for age in run.ages_ms if not math.isnan(age)]
    frames = max(scenario.frames, 1)
    return {
        "frames": scenario.frames,
        "shares": {
            route.value: sum(origin is route for origin in run.origins) / frames for route in Route
        },
        "in_time": sum(age <= scenario.deadline_ms for age in ages) / frames,
        "age_p99_ms": float(np.percentile(ages, 99)) if ages else None,
        "switches": len(run.switches),
    }
