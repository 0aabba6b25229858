"""What the network that looks twice learns of: legible plates, and all that is none."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from train.privacy.second_fit import second_loss  # noqa: E402
from train.privacy.second_network import SecondLook  # noqa: E402
from train.privacy.second_views import LEGIBLE, contrast  # noqa: E402

BOX = torch.tensor([[(-0.5, -0.4), (0.5, -0.4), (0.5, 0.4), (-0.5, 0.4)]])


def test_a_plate_with_letters_is_legible_in_the_sun_and_in_the_dark_and_a_grey_patch_is_not() -> (
    None
):
    bars = (torch.arange(96) // 4 % 2).float() * 0.5 + 0.25
    for light in (1.0, 0.3):
        assert float(contrast((bars * light).expand(1, 3, 48, 96), BOX)) > LEGIBLE
    assert float(contrast(torch.full((1, 3, 48, 96), 0.6), BOX)) < LEGIBLE


def test_nothing_is_learned_of_a_plate_that_does_not_count() -> None:
    chance = torch.tensor([-3.0, 2.0], requires_grad=True)
    placed = torch.zeros(2, 4, 2, requires_grad=True)
    wanted = (torch.tensor([1.0, 0.0]), BOX.expand(2, 4, 2), torch.ones(2))
    second_loss((chance, placed), *wanted, torch.tensor([0.0, 1.0])).backward()
    assert chance.grad is not None
    assert placed.grad is not None
    assert chance.grad[0] == 0
    assert chance.grad[1] > 0
    assert float(placed.grad.abs().sum()) == 0.0


def test_the_network_gives_a_chance_and_four_corners_a_view() -> None:
    chance, corners = SecondLook().eval()(torch.zeros(3, 3, 48, 96))
    assert chance.shape == (3,)
    assert corners.shape == (3, 4, 2)
