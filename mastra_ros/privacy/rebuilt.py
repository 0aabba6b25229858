"""Whether what was measured at a cut says that no plate can be rebuilt of its features.

`mastra model split --measure-privacy` trains decoders on drawn plates, rebuilds plates that these
have not seen, and enters what came of it into the bundle (`split.measurements.rebuilt`). What is
missing, is no number, was measured on too few plates or belongs to another head says nothing, and
features of which nothing is said do not leave.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

KEY = "rebuilt"
"""Where the measurement stands in the measurements of a split."""
SAMPLES_MIN = 200
"""Plates held out, at least: with none of 200 read, at most 1.5 % can be (95 %, rule of three)."""
CORRELATION_MAX = 0.3
"""Of a rebuilt plate with the true one, the mean of all plates taken away, upper 95 % bound. A
mosaic of 8 blocks across, the finest that the gate makes, leaves 0.21, one of 16, of which a reader
read none, 0.40; of 24, of which it read one in a hundred, 0.53 (plates 128 px wide)."""
READINGS_MAX = 0
"""Plates read exactly after they were rebuilt."""
CONTROL_MIN = 0.7
"""What the same decoder, trained likewise, must reach with features in which the picture is: one
that learns nothing proves nothing."""


def why_not(measurements: Mapping[str, Any], head_sha256: str) -> str:
    """Why a cut is not private by its measurements; empty where it is."""
    if KEY not in measurements:
        return "it was not measured what can be rebuilt (mastra model split --measure-privacy)"
    told = measurements[KEY]
    if not isinstance(told, Mapping):
        return f"expected a section {KEY}, got {type(told).__name__}"
    if not head_sha256 or told.get("head_sha256") != head_sha256:
        return "what was measured belongs to another head"
    return _by_numbers(told)


def _by_numbers(told: Mapping[str, Any]) -> str:
    samples, readings = (_count(told.get(name)) for name in ("samples", "readings"))
    upper, control = (_number(told.get(name)) for name in ("correlation_upper", "control"))
    if not samples >= SAMPLES_MIN:
        return f"expected at least {SAMPLES_MIN} plates measured, got {told.get('samples')}"
    if not 0 <= readings <= READINGS_MAX:
        return f"rebuilt plates were read: {told.get('readings')} of {samples:g}"
    if not -1.0 <= upper <= CORRELATION_MAX:  # nor NaN
        return (
            f"plates are rebuilt: correlation up to {told.get('correlation_upper')}, "
            f"at most {CORRELATION_MAX}"
        )
    if not control >= CONTROL_MIN:
        return f"the decoder has not learnt: control {told.get('control')}, at least {CONTROL_MIN}"
    if told.get("settled") is not True:
        return "the decoder was still learning when its training ended"
    return ""


def _count(value: Any) -> float:
    """NaN for all that is no count."""
    return value if isinstance(value, int) and not isinstance(value, bool) else math.nan


def _number(value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number else math.nan
