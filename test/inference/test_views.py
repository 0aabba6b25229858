"""Two views of each frame: what is averaged, and which models can do it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mastra_ros.errors import ModelError
from mastra_ros.inference import Detector, load_bundle
from mastra_ros.inference.contract import Grid
from mastra_ros.inference.views import average_views, with_turned
from mastra_ros.types import Frame


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_each_frame_is_followed_by_itself_turned(layout: str) -> None:
    shape = (2, 3, 4, 5) if layout == "nchw" else (2, 4, 5, 3)
    tensor = np.random.default_rng(1).random(shape, np.float32)
    seen = with_turned(tensor, layout)
    channel = (slice(None), 0) if layout == "nchw" else (..., 0)
    assert np.array_equal(seen[:2], tensor)
    for straight, turned in zip(tensor[channel], seen[2:][channel], strict=True):
        assert np.array_equal(turned, np.rot90(straight, 2))


def test_scores_are_averaged_cell_by_cell_and_boxes_side_by_side() -> None:
    scores = np.zeros((2, 4, 1), np.float32)
    scores[0, 1], scores[1, 2] = 3.0, 1.0  # cell 1 of four is cell 2 after half a turn
    boxes = np.zeros((2, 4, 4), np.float32)
    boxes[0, 1], boxes[1, 2] = [1, 2, 3, 4], [3, 4, 3, 2]
    merged = average_views([boxes, scores], Grid(scores_at=1, boxes_at=0, columns=2))
    assert np.array_equal(merged[1][0].ravel(), [0, 2, 0, 0])
    assert np.array_equal(merged[0][0, 1], [2, 2, 3, 4])


def test_a_model_that_is_the_same_in_both_views_answers_as_with_one(
    make_bundle: Any, spotted: Frame
) -> None:
    bundle = load_bundle(str(make_bundle(parts__cloud__views=2)))
    part = bundle.part("cloud")
    assert part.views == 2
    both = Detector.open(bundle, "cloud")
    assert both.engine.inputs[0].shape[0] is None
    once = Detector.open(bundle.in_one_view(), "cloud")
    dark = replace(spotted, image=np.zeros_like(spotted.image))
    for found, expected in zip(
        both.detect_batch([spotted, dark, spotted]),
        once.detect_batch([spotted, dark, spotted]),
        strict=True,
    ):
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-4)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
        assert np.array_equal(found.classes, expected.classes)


def test_an_integer_model_cannot_average_and_says_so(make_bundle: Any) -> None:
    bundle = load_bundle(str(make_bundle(parts__local__views=2)))
    with pytest.raises(ModelError, match="views: 2 needs float outputs and any number of frames"):
        Detector.open(bundle, "local")


def test_so_many_views_there_are_not(make_bundle: Any) -> None:
    with pytest.raises(ModelError, match=r"parts\.cloud\.views: expected an integer of 1 to 2"):
        load_bundle(str(make_bundle(parts__cloud__views=3)))
