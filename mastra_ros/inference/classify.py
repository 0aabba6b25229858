"""From a classifier's raw output to a detection: the best class, with a box around the frame.

So a classifier's answer travels and is escalated like a detector's. Pure functions.
"""

from __future__ import annotations

import numpy as np

from ..types import Detections
from .engines.engine import Tensor, TensorSpec
from .postprocess import dequantise
from .preprocess import Floats


def probabilities(raw: Tensor, spec: TensorSpec, scores: str) -> Floats:
    """One frame's raw output (..., labels) -> float32 (labels,), a softmax where it is logits."""
    values = dequantise(raw.reshape(-1), spec)
    if scores == "logits":
        values = np.exp(values - values.max())
        values = values / values.sum()
    return np.asarray(np.clip(values, 0.0, 1.0), np.float32)


def best_class(
    raw: Tensor,
    spec: TensorSpec,
    *,
    scores: str,
    threshold: float,
    size_px: tuple[int, int],
    labels: tuple[str, ...],
) -> Detections:
    """The best class as one detection of the whole frame, `size_px` (width, height).

    None where its probability is below `threshold`.
    """
    values = probabilities(raw, spec, scores)
    best = int(values.argmax())
    if not values[best] >= threshold:
        return Detections.empty(labels)
    return Detections(
        np.array([[0, 0, *size_px]], np.float32),
        values[best : best + 1],
        np.array([best], np.int32),
        labels,
    )
