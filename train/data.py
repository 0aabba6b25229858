"""Labelled boards: DeepPCB from its folder, and synthetic ones.

    python -m train.data DEEPPCB > held_out.txt

prints the ids of train.txt that train no network, but choose its checkpoint and score thresholds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mastra_ros.camera.drawn.board import LABELS, draw_board

HELD_OUT = 80
SPLIT_SEED = 20
SIZE_PX = 640

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """`image` (H, W) uint8 gray, `boxes` (K, 4) x1 y1 x2 y2 in px, `labels` (K,) into LABELS."""

    image: npt.NDArray[np.uint8]
    boxes: Floats
    labels: npt.NDArray[np.int64]


def read_ids(root: Path, name: str) -> list[str]:
    """The ids listed in `ROOT/name`, e.g. train.txt."""
    return (root / name).read_text().split()


def split_train(ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """Ids to train on, and HELD_OUT ids kept back to choose checkpoints and score thresholds."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(ids))
    held = {int(i) for i in order[:HELD_OUT]}
    return (
        [name for i, name in enumerate(ids) if i not in held],
        [name for i, name in enumerate(ids) if i in held],
    )


def read_sample(root: Path, name: str) -> Sample:
    """Read `images/NAME.jpg` and `labels/NAME.txt` (x1 y1 x2 y2 type, types from 1).

    Raises:
        ValueError: the image cannot be decoded.
    """
    image = cv2.imread(str(root / "images" / f"{name}.jpg"), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise ValueError(f"expected an image at {root}/images/{name}.jpg")
    text = (root / "labels" / f"{name}.txt").read_text().split()
    rows = np.array(text, dtype=np.int64).reshape(-1, 5)
    return Sample(image.astype(np.uint8), rows[:, :4].astype(np.float32), rows[:, 4] - 1)


def synthetic_sample(
    rng: np.random.Generator,
    width_px: int = SIZE_PX,
    height_px: int = SIZE_PX,
    *,
    links: bool = False,
) -> Sample:
    """A drawn board; one in ten is clean."""
    board = draw_board(rng, width_px, height_px, 0 if rng.random() < 0.1 else None, links=links)
    boxes = [(d.x1, d.y1, d.x2, d.y2) for d in board.defects]
    labels = [LABELS.index(d.label) for d in board.defects]
    return Sample(
        board.image,
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        np.array(labels, dtype=np.int64),
    )


def letterbox(sample: Sample) -> Sample:
    """Fit a sample into 640x640, centred on black, and move its boxes along."""
    height, width = sample.image.shape
    scale = min(SIZE_PX / width, SIZE_PX / height)
    if scale == 1.0 and height == width:
        return sample
    size = (round(width * scale), round(height * scale))
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    left, top = (SIZE_PX - size[0]) // 2, (SIZE_PX - size[1]) // 2
    out = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    out[top : top + size[1], left : left + size[0]] = cv2.resize(
        sample.image, size, interpolation=mode
    )
    shift = np.array([left, top, left, top], dtype=np.float32)
    boxes = (sample.boxes * np.float32(scale) + shift).astype(np.float32)
    return Sample(out, boxes, sample.labels)


def main() -> None:
    """Print the ids that are held out, a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder deeppcb")
    held_out = split_train(read_ids(parser.parse_args().data, "train.txt"))[1]
    sys.stdout.write("".join(f"{name}\n" for name in held_out))


if __name__ == "__main__":
    main()
