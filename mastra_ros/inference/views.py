"""Two views of each frame, as it is and turned by half a turn, whose answers are averaged.

Test-time augmentation (Krizhevsky et al., 2012): what a network sees in one view only is doubtful,
and what it sees in both counts in full. It costs a second run of the network.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .engines.engine import Tensor
from .outputs import Grid

OPPOSITE_SIDES = (2, 3, 0, 1)
"""Left, top, right, bottom of a box, seen after half a turn."""


def with_turned(tensor: Tensor, layout: str) -> Tensor:
    """(n, ...) -> (2n, ...): the pictures, then each of them turned. `layout`: nchw or nhwc."""
    sides = (2, 3) if layout == "nchw" else (1, 2)
    return np.concatenate([tensor, np.flip(tensor, sides)])


def average_views(outputs: Sequence[Tensor], grid: Grid) -> list[Tensor]:
    """(2n, cells, ...) of `with_turned` -> (n, cells, ...): the means of logits and of distances.

    Cells are row-major, so half a turn reverses their order.
    """
    merged = []
    for at, output in enumerate(outputs):
        straight, turned = np.split(output, 2)
        turned = turned[:, ::-1]
        if at == grid.boxes_at:
            turned = turned[..., OPPOSITE_SIDES]
        merged.append((straight + turned) / 2)
    return merged
