"""Whether a network's scores are logits or probabilities: told, or seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...inference import Bundle
from ...inference.interface import SCORES, YOLO
from ...inference.yolo import BOX_SIDES
from ..layers import operator_names
from ..rebuild.scores import form_in_graph, form_in_tflite
from ..tflite_file import read_model
from .opened import Arranged, Opened, Tensors

EXACT = 1e-3
"""Probabilities of all classes add up to one with this error at most."""


def form_of(
    opened: Opened, given: Arranged | None, bundle: Bundle, answers: Sequence[Tensors]
) -> str:
    """`logits`, `probabilities`, or "" where neither the operators nor the answers tell.

    `answers` are the source's own outputs for some pictures.
    """
    form = ""
    at = opened.contract.grid.scores_at
    if given is not None and bundle.output.kind != "yolox":
        form = form_in_graph(given.graph.proto, given.graph.outputs[0])
    elif opened.file is not None:
        model = read_model(opened.file)
        form = form_in_tflite(model, operator_names(model), int(model.subgraphs[0].outputs[at]))
    values = [scores_in(bundle, opened, answer) for answer in answers]
    if any(one.min() < -EXACT or one.max() > 1 + EXACT for one in values):
        return "logits"
    if not form and bundle.output.kind == "classification" and len(bundle.labels) > 1:
        sums = [float(one.sum()) for one in values]
        form = "probabilities" if np.allclose(sums, 1.0, atol=EXACT) else ""
    return form


def scores_in(bundle: Bundle, opened: Opened, answer: Tensors) -> NDArray[Any]:
    """The scores among the source's outputs for one picture, as real numbers."""
    grid = opened.contract.grid
    value = np.asarray(answer[grid.scores_at])
    spec = opened.engine.outputs[grid.scores_at]
    real = value.astype(np.float64)
    if spec.scale:
        real = (real - spec.zero_point) * spec.scale
    if bundle.output.kind == "yolox" or (
        bundle.output.kind in YOLO and grid.scores_at == grid.boxes_at
    ):
        axis = 1 if grid.turned[0] else 2
        real = np.take(real, np.arange(BOX_SIDES, real.shape[axis]), axis)
    return real


def settled(bundle: Bundle, asked: str, seen: str, text: str) -> str:
    """The form that counts: the one asked for, else the one seen, else the kind's usual one.

    Raises ConfigError where what is asked for cannot be.
    """
    if asked and seen and asked != seen:
        why = (
            "some of them are below 0 or above 1, or its last operators say so"
            if seen == "logits"
            else "they come from a softmax or sigmoid, or add up to 1"
        )
        raise ConfigError(
            f"{text}: scores are said to be {asked}, but are {seen}: {why}; leave it out to "
            "have it seen"
        )
    return asked or seen or SCORES[bundle.output.kind]
