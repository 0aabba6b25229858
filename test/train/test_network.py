"""Network, targets and loss; skipped where PyTorch is not installed."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is needed for training only")

from train.augment import Crop, random_crop  # noqa: E402
from train.data import synthetic_sample  # noqa: E402
from train.decode import decode  # noqa: E402
from train.loss import NEGATIVE, cell_centres, detection_loss, targets  # noqa: E402
from train.network import WIDTHS, build  # noqa: E402


def crop_of(*boxes: tuple[float, float, float, float]) -> Crop:
    rows = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    empty = np.zeros((0, 4), np.float32)
    return Crop(np.zeros((640, 640), np.float32), rows, np.full(len(rows), 4), empty)


@pytest.mark.parametrize("name", WIDTHS)
def test_output_shapes(name: str) -> None:
    with torch.inference_mode():
        scores, boxes = build(name).eval()(torch.zeros(2, 1, 64, 96))
    assert scores.shape == (2, 96, 6)
    assert boxes.shape == (2, 96, 4)
    assert float(boxes.min()) >= 0


def test_targets_decode_to_the_boxes_they_came_from() -> None:
    boxes = [(100, 100, 140, 130), (300.0, 200.0, 330.0, 290.0)]
    classes, distances = targets(crop_of(*boxes), cell_centres(80))
    logits = np.full((6400, 6), -9.0, dtype=np.float32)
    at = np.flatnonzero(classes >= 0)
    logits[at, classes[at]] = 3.0
    found = decode(logits, distances)
    assert sorted(found.boxes.tolist()) == [list(map(float, box)) for box in boxes]


def test_the_loss_of_a_perfect_answer_is_small() -> None:
    classes, distances = targets(crop_of((100, 100, 140, 130)), cell_centres(80))
    perfect = torch.full((1, 6400, 6), -12.0)
    for at in np.flatnonzero(classes != NEGATIVE):
        perfect[0, at, classes[at]] = 12.0
    sides = torch.from_numpy(distances)[None]
    known = torch.from_numpy(classes)[None]
    score_loss, box_loss = detection_loss(perfect, sides, known, sides)
    assert float(score_loss) < 1e-3
    assert float(box_loss) < 1e-3
    wrong, _ = detection_loss(-perfect, sides, known, sides)
    assert float(wrong) > 1


def test_a_crop_keeps_boxes_on_their_defects() -> None:
    rng = np.random.default_rng(4)
    sample = synthetic_sample(rng)
    for _ in range(20):
        crop = random_crop(rng, sample, 320, scales=(0.6, 1.2))
        assert crop.image.shape == (320, 320)
        assert 0 <= crop.image.min() <= crop.image.max() <= 1
        for x1, y1, x2, y2 in crop.boxes:
            inner = crop.image[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))]
            assert float(np.ptp(inner)) > 0.2
