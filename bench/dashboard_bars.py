"""Which growth of memory counts: that of a page which was watched for about half an hour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEAP_S = 1700.0
"""A memory that was watched for less says nothing of half an hour."""


def grown_in_half_an_hour(result: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What was measured of `process` or `page`; empty where it was not watched for long enough."""
    heap = result.get("heap", {})
    return dict(heap.get(name, {})) if heap.get("seconds", 0.0) >= HEAP_S else {}
