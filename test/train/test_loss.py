"""The losses that a detector learns from."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is needed for training only")

from train.loss import IGNORED, NEGATIVE, detection_loss, teacher_loss  # noqa: E402


def logits(cells: int = 4) -> torch.Tensor:
    """Scores (1, cells, 6) that differ from cell to cell."""
    return torch.linspace(-4, 2, cells * 6).reshape(1, cells, 6)


def test_scores_like_the_teachers_cost_nothing() -> None:
    classes = torch.tensor([[0, 1, NEGATIVE, IGNORED]])
    assert float(teacher_loss(logits(), logits(), classes)) == 0.0


def test_descending_the_teachers_loss_leads_to_its_scores() -> None:
    teacher, classes = logits(), torch.tensor([[0, 1, NEGATIVE, IGNORED]])
    scores = torch.zeros_like(teacher).requires_grad_(True)
    optimiser = torch.optim.Adam([scores], 0.1)
    for _ in range(300):
        optimiser.zero_grad()
        teacher_loss(scores, teacher, classes).backward()
        optimiser.step()
    # The loss is flat near its end: what is almost right counts for little in it.
    assert torch.allclose(scores.sigmoid(), teacher.sigmoid(), atol=0.1)
    assert float((teacher.sigmoid() - 0.5).abs().max()) > 0.3


def test_the_teacher_counts_where_no_label_decides_and_labels_do_not() -> None:
    classes, boxes = torch.tensor([[0, IGNORED]]), torch.ones(1, 2, 4)
    scores = torch.zeros(1, 2, 6, requires_grad=True)
    by_label, _ = detection_loss(scores, boxes, classes, boxes)
    (of_labels,) = torch.autograd.grad(by_label, scores)
    (of_teacher,) = torch.autograd.grad(teacher_loss(scores, logits(2), classes), scores)
    assert of_labels[0, 0].abs().sum() > 0
    assert of_labels[0, 1].abs().sum() == 0
    assert of_teacher[0, 1].abs().sum() > 0
