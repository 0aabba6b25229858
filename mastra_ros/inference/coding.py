"""The qualities of codecs that a bundle's measurements say are good enough for its network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .bundle import Bundle

MEASUREMENT = "quality"
"""Of a part: codec to quality, as `mastra model evaluate --codec --write` enters it."""
PARTS = ("cloud", "local")
"""What answers frames that were encoded; the first that the bundle has."""


def qualities_of(bundle: Bundle) -> dict[str, int]:
    """Quality by codec; empty where none was measured. What cannot be one is passed over."""
    for name in PARTS:
        if name in bundle.parts:
            return _qualities(bundle.parts[name].measurements)
    return {}


def _qualities(measurements: Mapping[str, Any]) -> dict[str, int]:
    found = measurements.get(MEASUREMENT)
    if not isinstance(found, dict):
        return {}
    return {
        str(codec): quality
        for codec, quality in found.items()
        if isinstance(quality, int) and not isinstance(quality, bool) and 1 <= quality <= 100
    }
