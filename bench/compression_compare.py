"""Ours against the best codec of a scene, at equal agreement. Pure.

The best codec is the one of the plain curves, of the points that keep the limits of time on this
machine, beside which ours is worst: chosen by who knows the scene and the result. Of some hundreds
of frames a single value of F is chance to 0.03, so the bytes are compared at several, in a band
around the value of the bars, and their ratios averaged (`curves.ratio_over`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.curves import Point, bytes_at, ratio_over

P50_MS, P99_MS = 3.0, 10.0
"""Most that encoding a VGA frame may take on one core."""
DB = 40.0
"""At which codecs are compared where there is no detector."""
BAND = {"f": 0.02, "psnr_db": 2.0}
"""How far around the value of the bars codecs are compared."""
VALUES = 21
BESIDE = ("JPEG", "tiles")
"""Stills: shown beside, and not among the codecs that may be the best."""

Row = dict[str, Any]


def compared(rows: Sequence[Row], *, detector: bool, less: float) -> Row:
    """Ratios and bytes. less: points of F below JPEG's at which the bars stand."""
    unit = "f" if detector else "psnr_db"
    curves = curves_of(rows, unit)
    jpeg = next((r for r in rows if r["curve"] == "JPEG" and r["quality"] == "q85"), None)
    wanted = DB if not detector or jpeg is None else round(jpeg["f"] - less, 4)
    at = {name: bytes_at(points, wanted) for name, points in curves.items()}
    plain = {r["curve"] for r in rows if r["plain"]} - set(BESIDE)
    told: Row = {"at": wanted, "unit": unit}
    told |= {"bytes": {name: round(size, 1) for name, size in at.items() if size < math.inf}}
    rivals = {name: points for name, points in curves.items() if name in plain}
    for key, ours in (("ratio", "auto"), ("ratio_royalty_free", "auto, royalty-free")):
        ratios = _ratios(curves.get(ours, []), rivals, wanted, BAND[unit])
        worst = max(ratios, key=lambda name: ratios[name], default="")
        told[key] = round(ratios[worst], 3) if worst else None
        if key == "ratio":
            told["best"] = worst
            told["ratios"] = {name: round(value, 3) for name, value in ratios.items()}
    if jpeg is not None and at.get("auto", math.inf) < math.inf:
        told["of_jpeg"] = round(at["auto"] / jpeg["bytes"], 4)
    told["too_slow"] = sorted(plain - set(curves))
    return told


def curves_of(rows: Sequence[Row], unit: str) -> dict[str, list[Point]]:
    """Points by curve; of the plain ones, those that keep the limits of time."""
    curves: dict[str, list[Point]] = {}
    for row in rows:
        if not row["plain"] or row["curve"] in BESIDE or in_time(row):
            curves.setdefault(row["curve"], []).append((row["bytes"], row[unit]))
    return curves


def in_time(row: Row) -> bool:
    """Whether a setting keeps the limits; one that was not timed does."""
    p50_ms, p99_ms = (float(row.get(f"vga_{share}_ms", 0.0)) for share in ("p50", "p99"))
    return p50_ms <= P50_MS and p99_ms <= P99_MS


def _ratios(
    ours: Sequence[Point], rivals: Mapping[str, Sequence[Point]], wanted: float, band: float
) -> dict[str, float]:
    """Ours over each of the others, in the band; where they share nothing of it, at any value that
    both reach."""
    near = np.linspace(wanted - band, wanted + band, VALUES).tolist()
    found = {}
    for name, points in rivals.items():
        ratio = ratio_over(ours, points, near)
        if math.isnan(ratio):
            every = [value for _, value in (*ours, *points)]
            ratio = ratio_over(ours, points, np.linspace(min(every), max(every), 201).tolist())
        if not math.isnan(ratio):
            found[name] = ratio
    return found
