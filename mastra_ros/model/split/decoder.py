"""Rebuilds the picture of a plate from features, as well as a small network can learn to.

Two attackers, of which the better counts: convolutions with transposed ones that bring the cells
of a cut back to pixels (layers that join everything where the features have no places), and kernel
ridge regression, which needs no training to settle.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..needs import require_torch

Floats = NDArray[np.float32]
Score = Callable[[Floats], float]
"""How well the validation's plates are rebuilt."""

BATCH = 32
RATE = 2e-3
EPOCHS_MIN = 10
PATIENCE = 6
"""Training ends when so many epochs brought nothing."""
BETTER = 0.01
ENOUGH = 0.8
WIDTHS = (64, 192)
"""Channels of the decoder: as many as the features have, within these."""
HIDDEN = 256
"""Of the layer between features without places and pixels."""
FINE = 8
"""Channels of the decoder at the size of pixels."""
RIDGES = (0.01, 0.1, 1.0, 10.0)
"""Of the mean of the kernel's diagonal."""


@dataclass(frozen=True)
class Window:
    """The cells around a plate, and what they cover of the network's input."""

    cells: tuple[int, int]  # rows, columns
    size_px: tuple[int, int]  # what they cover: high, wide
    plate: tuple[int, int, int, int]  # in there: top, bottom, left, right
    place: tuple[int, int] | None = None  # of the first cell; None: the features have no places

    def of(self, tensor: NDArray[np.int8]) -> NDArray[np.int8]:
        """The features of one frame that a decoder gets, (channels, rows, columns)."""
        if self.place is None:
            return tensor.reshape(-1, 1, 1)
        (top, left), (rows, columns) = self.place, self.cells
        return tensor[:, top : top + rows, left : left + columns]

    @property
    def doublings(self) -> int:
        """How often a cell is doubled to be brought to about the size of pixels."""
        step = max(px / n for px, n in zip(self.size_px, self.cells, strict=True))
        return min(6, max(0, math.ceil(math.log2(step) - 0.01)))


@dataclass(frozen=True)
class Learnt:
    """Plates rebuilt by a decoder, (n, high, wide), and whether its training had come to an end."""

    plates: Floats
    settled: bool


def by_network(
    train: tuple[Floats, Floats],
    validation: Floats,
    held_out: Floats,
    window: Window,
    score: Score,
    *,
    epochs: int,
    enough: float = ENOUGH,
    seed: int = 0,
) -> Learnt:
    """Train a decoder until the validation's score grows no more, and rebuild the held-out ones.

    Also ends where the score is `enough`: that the picture can be rebuilt is then shown.

    train: features (n, channels, rows, columns) of mean 0 and spread 1, and plates (n, high, wide).
    """
    torch = require_torch()
    features, plates = train
    torch.manual_seed(seed)
    network = _network(torch, features.shape[1:], window)
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    order = np.random.default_rng(seed)
    best, since, kept = -math.inf, 0, None
    for epoch in range(epochs):
        network.train()
        for chosen in np.array_split(order.permutation(len(plates)), -(-len(plates) // BATCH)):
            loss = torch.nn.functional.mse_loss(
                network(torch.from_numpy(features[chosen])), torch.from_numpy(plates[chosen])
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        reached = score(_rebuilt(torch, network, validation))
        since += 1
        if kept is None or reached > best:
            kept = {name: value.clone() for name, value in network.state_dict().items()}
        if reached > best + BETTER:
            since = 0
        best = max(best, reached)
        if best >= enough or (since >= PATIENCE and epoch + 1 >= EPOCHS_MIN):
            break
    network.load_state_dict(kept)
    return Learnt(_rebuilt(torch, network, held_out), best >= enough or since >= PATIENCE)


def by_ridge(
    train: tuple[Floats, Floats], validation: Floats, held_out: Floats, score: Score
) -> Learnt:
    """Kernel ridge regression with the strength that serves the validation best."""
    features, plates = (part.reshape(len(part), -1) for part in train)
    plates = plates.astype(np.float64)
    mean = plates.mean(0)
    kernel = np.asarray(features @ features.T, np.float64)
    eye = np.eye(len(features)) * max(np.trace(kernel) / len(features), 1e-6)
    sides = train[1].shape[1:]

    def rebuilt(weights: NDArray[np.float64], some: Floats) -> Floats:
        near = some.reshape(len(some), -1) @ features.T
        return np.asarray((near @ weights + mean).reshape(-1, *sides), np.float32)

    tried = [np.linalg.solve(kernel + ridge * eye, plates - mean) for ridge in RIDGES]
    best = max(tried, key=lambda weights: score(rebuilt(weights, validation)))
    return Learnt(rebuilt(best, held_out), True)


def _rebuilt(torch: Any, network: Any, features: Floats) -> Floats:
    network.eval()
    with torch.no_grad():
        parts = [
            network(torch.from_numpy(features[at : at + BATCH])).numpy()
            for at in range(0, len(features), BATCH)
        ]
    return np.concatenate(parts)


def _network(torch: Any, shape: tuple[int, ...], window: Window) -> Any:
    """(n, channels, rows, columns) -> (n, high, wide) of the plate."""
    nn = torch.nn
    channels, rows, columns = shape
    top, bottom, left, right = window.plate
    if window.place is None:
        sides = (bottom - top, right - left)
        return _joined(torch, channels * rows * columns, sides)
    wide = min(max(WIDTHS[0], channels), WIDTHS[1])
    step = 2**window.doublings

    class Decoder(nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                *(nn.Conv2d(channels, wide, 3, padding=1), nn.ReLU()),
                *(nn.Conv2d(wide, wide, 3, padding=1), nn.ReLU()),
                *(nn.ConvTranspose2d(wide, FINE, step, step), nn.ReLU()),
                nn.Conv2d(FINE, 1, 5, padding=2),
            )

        def forward(self, features: Any) -> Any:
            full = nn.functional.interpolate(
                self.layers(features), size=window.size_px, mode="bilinear", align_corners=False
            )
            return full[:, 0, top:bottom, left:right]

    return Decoder()


def _joined(torch: Any, values: int, sides: tuple[int, int]) -> Any:
    """For features without places: every pixel from all of them, straight and by a hidden layer."""
    nn = torch.nn
    pixels = sides[0] * sides[1]

    class Joined(nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.straight = nn.Linear(values, pixels)
            self.bent = nn.Sequential(
                nn.Linear(values, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, pixels)
            )

        def forward(self, features: Any) -> Any:
            flat = features.flatten(1)
            return (self.straight(flat) + self.bent(flat)).unflatten(1, sides)

    return Joined()
