"""The bars of bench/results/privacy.json."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

PLATE_BARS = {32: 0.95, 40: 0.95, 48: 0.995, 64: 0.995}
FACE_BARS = {12: 0.97, 16: 0.99, 24: 0.99, 32: 0.99, 48: 0.99, 64: 0.99}
AREA_MAX = 3.0
FULL_MS = {"vga": 120.0, "720p": 350.0}
VIDEO_MS = {"vga": 40.0, "720p": 120.0}


def privacy_values(result: dict[str, Any]) -> Iterator[tuple[str, float, str, float]]:
    """What, value, way and bar of each."""
    for kind, bars in (("plates", PLATE_BARS), ("faces", FACE_BARS)):
        for row in result.get(kind, ()):
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
    for hide, counted in result.get("journey", {}).items():
        place = f"through the nodes to the gateway, {hide}"
        seen = counted["faces_found_after"] + counted["plates_found_after"]
        yield f"{place}: pasted faces and plates that a finder still finds", seen, "at most", 0.0
        yield f"{place}: plates read", counted["plates_read_after"], "at most", 0.0
    share = result.get("bands", {}).get("street", {}).get("share_with_median", math.nan)
    yield "share of a street frame masked, heads and bands included, median", share, "at most", 0.1
    costs = result.get("cost", {})
    for size in FULL_MS:
        told = costs.get(size, {})
        full = told.get("full_ms", {}).get("p50", math.nan)
        yield f"{size}: a full search on one core, p50, ms", full, "at most", FULL_MS[size]
        for name, place in (("street_ms", "a busy junction"), ("road_ms", "a road")):
            paced = told.get(name, {}).get("p50", math.nan)
            yield f"{size}: over {place} on one core, p50, ms", paced, "at most", VIDEO_MS[size]


def _sum(gaps: dict[str, int] | None) -> float:
    return math.nan if gaps is None else float(sum(gaps.values()))
