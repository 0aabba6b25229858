"""The bars of bench/results/privacy.json."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

PLATE_BARS = {32: 0.95, 40: 0.95, 48: 0.995, 64: 0.995}
FACE_BARS = {12: 0.97, 16: 0.99, 24: 0.99, 32: 0.99, 48: 0.99, 64: 0.99}
AREA_MAX = 3.0
FULL_MS = {"vga": 120.0, "720p": 350.0}
STREET_MS = {"vga": 40.0, "720p": 120.0}


def privacy_values(result: dict[str, Any]) -> Iterator[tuple[str, float, str, float]]:
    """What, value, way and bar of each."""
    found = result.get("recall", {})
    for kind, bars in (("plates", PLATE_BARS), ("faces", FACE_BARS)):
        for row in found.get(kind, ()):
            width = row["width_px"]
            for name in ("default", "all"):
                place = f"{kind} {width} px wide, finders {name}"
                if width in bars:
                    yield f"{place}: share covered", row[name]["recall"], "at least", bars[width]
            if width in bars:
                area = row["default"]["area_of_truth_median"]
                what = f"{kind} {width} px wide, finders default: area of masks over truth, median"
                yield what, area, "at most", AREA_MAX
    read = result.get("reading", {}).get("read_of_masked", math.nan)
    yield "plates read exactly under their masks", read, "at most", 0.0
    gaps = result.get("video", {}).get("frames_uncovered")
    yield "frames of a video with something uncovered", _sum(gaps), "at most", 0.0
    costs = result.get("cost", {})
    for size in FULL_MS:
        told = costs.get(size, {})
        full = told.get("full_ms", {}).get("p50", math.nan)
        yield f"{size}: a full search on one core, p50, ms", full, "at most", FULL_MS[size]
        paced = told.get("street_ms", {}).get("p50", math.nan)
        yield f"{size}: over a street on one core, p50, ms", paced, "at most", STREET_MS[size]


def _sum(gaps: dict[str, int] | None) -> float:
    return math.nan if gaps is None else float(sum(gaps.values()))
