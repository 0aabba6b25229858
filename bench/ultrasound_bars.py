"""The bars of bench/results/ultrasound.json."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

Value = tuple[str, float, str, float]

AGE_MS = 1000.0 / 30
"""A live picture is shown before the next one comes."""
LAGGED = "a lag of 65 ms, uncorrected"
PHANTOMS = (
    "clean",
    "pose noise of 0.5 mm and 0.5 degrees",
    "half of the frames dropped",
    LAGGED,
)


def ultrasound_values(result: dict[str, Any]) -> Iterator[Value]:
    """What, value, way and bar of each; NaN for what was not measured."""
    yield from _plus(result)
    told = result.get("phantom", {})
    for name in PHANTOMS:
        yield from _phantom(name, told.get(name, {}))
    yield from _castings(result.get("castings", {}))
    rate = _number(result, "speed", "nearest")
    yield "frames of 820 x 616 a second on one core", rate, "at least", 30.0
    sweeps = result.get("end_to_end", {}).get("sweeps", ())
    slowest = max((one["on_device_s"] for one in sweeps), default=math.nan)
    what = "from the last frame to volume, mesh and report on the device, slowest sweep, s"
    yield what, slowest, "at most", 2.0
    yield from _live(result)


def _plus(result: dict[str, Any]) -> Iterator[Value]:
    exact = _number(result, "plus", "NNMEAN", "compatible", "identical")
    yield "PLUS, NN MEAN: share of identical voxels", exact, "at least", 1.0
    exact = _number(result, "plus", "NNLATE", "compatible", "identical")
    yield "PLUS, NN LATE: share of identical voxels", exact, "at least", 0.998
    what = "PLUS, NN MEAN, positions in double precision"
    alike = _number(result, "plus", "NNMEAN", "double", "correlation")
    yield f"{what}: correlation", alike, "at least", 0.999
    off = abs(_number(result, "plus", "NNMEAN", "double", "difference"))
    yield f"{what}: mean difference", off, "at most", 0.5
    same = _number(result, "scan", "same")
    yield "scan conversion: pixels as PLUS has them, share", same, "at least", 1.0
    off = _number(result, "lag", "off_ms")
    yield "lag of the water tank, from PLUS's, ms", off, "at most", 10.0


def _phantom(name: str, told: dict[str, Any]) -> Iterator[Value]:
    if name == LAGGED:
        # The check itself is checked: of every seed it has to fail.
        worst_of = [_surface(row) for row in told.get("seeds", ())]
        best = min(worst_of, default=math.nan)
        yield f"{name}: mean distance of the surfaces, best seed, mm", best, "above", 0.25
        return
    what = f"{name}: told volumes and centres whose uncertainty holds the truth, share"
    yield what, _number(told, "within"), "at least", 0.95
    limit = 0.5 if name.startswith("pose") else 0.25
    for body in ("ellipsoid", "sphere"):
        mean = _number(told, "worst", body, "surface_mean_mm")
        yield f"{name}: {body}, mean distance of the surface, mm", mean, "at most", limit
    if name != "clean":
        return
    for body, bar in (("ellipsoid", 0.05), ("sphere", 0.08)):
        off = _number(told, "worst", body, "volume")
        yield f"{name}: volume of the {body}, error", off, "at most", bar
        p95 = _number(told, "worst", body, "surface_p95_mm")
        yield f"{name}: {body}, p95 of the surface's distance, mm", p95, "at most", 0.5


def _surface(row: dict[str, Any]) -> float:
    """The worse of both bodies; one that is not found at all is far away."""
    found = (row[body] for body in ("ellipsoid", "sphere"))
    return max(one["surface_mean_mm"] if one else 9.0 for one in found)


def _castings(told: dict[str, Any]) -> Iterator[Value]:
    rows = told.get("seeds", ())
    missed = sum(abs(row["found"] - told["true"]) for row in rows) + told.get("false", 0)
    yield "castings: voids missed or made up", missed if rows else math.nan, "at most", 0
    off = _number(told, "volume")
    yield "castings: volume of a void, error", off, "at most", 0.1
    off = _number(told, "place_mm")
    yield "castings: place of a void, error, mm", off, "at most", 0.1


def _live(result: dict[str, Any]) -> Iterator[Value]:
    leaked = _number(result, "privacy", "leaked")
    yield "pixels outside the region that leave", leaked, "at most", 0
    changed = _number(result, "privacy", "changed")
    yield "pixels inside the region that are changed", changed, "at most", 0
    drawn = _number(result, "draw", "p99_ms")
    yield "drawing a live picture, p99, ms", drawn, "at most", AGE_MS / 2
    for name in ("alone", "sweeping"):
        told = result.get("live", {}).get(name, {})
        shown = told["shown"] / max(1, told["of"]) if told else math.nan
        place = "640 x 480 at 30 frames a second on one core"
        yield f"{place}: live pictures shown, {name}, share", shown, "at least", 0.99
        age = _number(told, "age_p99_ms")
        yield f"{place}: age of the live picture, {name}, p99, ms", age, "at most", AGE_MS


def _number(told: Any, *names: str) -> float:
    """A number deep in a result; NaN where any step of the way is missing."""
    for name in names:
        told = told.get(name) if isinstance(told, dict) else None
    return math.nan if told is None else float(told)
