"""Which growth of memory counts: that of a page which was watched for about half an hour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEAP_S = 1700.0
"""A memory that was watched for less says nothing of half an hour."""

SEEN_WITHIN_S = {"cut": 3 * 0.1 + 1.0, "decision": 1.0}
"""A cut after three heartbeats and a second; a decision by a changed parameter after one."""


def grown_in_half_an_hour(result: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What was measured of `process` or `page`; empty where it was not watched for long enough."""
    heap = result.get("heap", {})
    return dict(heap.get(name, {})) if heap.get("seconds", 0.0) >= HEAP_S else {}


def slowest(result: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The slowest of what bench.dashboard_seen has measured, as `s`; empty where it was not."""
    each = result.get("seen", {}).get(f"{name}_s")
    return {"s": max(each)} if each else {}
