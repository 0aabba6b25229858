"""What has to be said of a chart that is drawn already: its new points, not all of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Options = Mapping[str, Any]
"""Of a chart of `views.chart`: a time axis and lines of points (ms since 1970, value)."""


def delta(before: Options, after: Options) -> dict[str, Any]:
    """What makes a chart that shows `before` show `after`.

    `min` and `max` of the time axis, and `series`: for each line the points to add, where those
    that are left of `min` go; where a line was changed before its end, or the lines are others,
    `options` has all instead.
    """
    old, new = before["series"], after["series"]
    if [one["name"] for one in old] != [one["name"] for one in new]:
        return {"options": after}
    told = []
    for was, now in zip(old, new, strict=True):
        added = _added(was["data"], now["data"])
        if added is None:
            return {"options": after}
        one: dict[str, Any] = {"drop": len(was["data"]) + len(added) - len(now["data"])}
        if added:
            one["add"] = added
        if was.get("markArea") != now.get("markArea"):
            one["markArea"] = now["markArea"]
        told.append(one)
    return {"min": after["xAxis"]["min"], "max": after["xAxis"]["max"], "series": told}


def _added(before: list[Any], after: list[Any]) -> list[Any] | None:
    """What `after` has behind the end of `before`; None where it is not `before` gone on with."""
    if not before or not after:
        return after if not before else None
    try:
        first = before.index(after[0])
    except ValueError:
        return None
    kept = len(before) - first
    return after[kept:] if before[first:] == after[:kept] else None
