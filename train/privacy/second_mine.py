"""Gathers what the first detector takes for plates, on drawn pictures and the bank's scenes:

    python -m train.privacy.second_mine BANK.npz MINED.npz --video car-detection.mp4 \\
        --detector models/privacy/plates_and_heads.onnx

Each as a view (3, 48, 96), RGB, and where in it the plate is; not numbers where there is none. Of
car-detection.mp4 the frames between those whose plates were marked are taken too: lamps, mirrors
and badges of its cars, and what lies near the way of a plate is left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mastra_ros.privacy.finders.boxes import hull, scaled
from mastra_ros.privacy.finders.plates_and_heads import PlatesAndHeads
from mastra_ros.privacy.finders.region import PLATE, Region
from mastra_ros.privacy.finders.views import VIEW_PX, View
from train.privacy.bank import MARKED
from train.privacy.compose import Composer

LEAST = 0.12
"""Also what the detector is less sure of than it has to be is looked at."""
SAME, OTHER = 0.4, 0.1
"""IoU with a plate from which on a find is that plate, and below which it is none."""
SIZES = (0.4, 0.7, 1.0, 1.6)
VIDEO_SIZES = (0.5, 0.75, 1.0, 1.4, 1.9)
NEXT_FRAMES = 8
"""Marks that lie no further apart are of one car, which is followed between them."""
Floats = npt.NDArray[np.float32]


def mine(finder: PlatesAndHeads, image: npt.NDArray[np.uint8], boxes: Floats) -> list[Any]:
    """Views of a picture (H, W, 3), BGR, and the box in each, of all that is found in it."""
    made = []
    plates = [Region(a, b, c - a, d - b, PLATE) for a, b, c, d in boxes.tolist() if c > a and d > b]
    for found in finder.find(image):
        if found.kind != PLATE:
            continue
        best = max(plates, key=lambda one: one.iou(found), default=None)
        overlap = 0.0 if best is None else best.iou(found)
        if OTHER < overlap < SAME:
            continue
        view = View.of(found)
        box = np.full(4, np.nan, np.float32)
        if best is not None and overlap >= SAME:
            half = np.array(VIEW_PX * 2, np.float32) / 2 * view.step
            sides = (best.x, best.y, best.x + best.width, best.y + best.height)
            box = (np.array(sides, np.float32) - np.array((view.x, view.y) * 2)) / half
        made.append((view.cut(image)[..., ::-1].transpose(2, 0, 1), box.astype(np.float32)))
    return made


def mine_video(finder: PlatesAndHeads, path: Path) -> list[Any]:
    """Of the frames in which all plates are known to lie near marks: what is none of them."""
    capture = cv2.VideoCapture(str(path))
    made: list[Any] = []
    number = -1
    while True:
        ok, frame = capture.read()
        if not ok:
            break
        number += 1
        before = max((n for n in MARKED if n <= number), default=None)
        after = min((n for n in MARKED if n >= number), default=None)
        if before is None or after is None or after - before > NEXT_FRAMES:
            continue
        near = [Region(*box, PLATE).widened(1.0) for n in (before, after) for box in MARKED[n]]
        hidden = [hull(one, other) for one in near for other in near if one.iou(other) > 0] + [
            hull(near[0], near[-1])
        ]
        for size in VIDEO_SIZES:
            seen = np.asarray(cv2.resize(frame, None, fx=size, fy=size), np.uint8)
            for found in finder.find(seen):
                there = scaled(found, 1 / size, 1 / size)
                if found.kind == PLATE and not any(there.overlap_px(one) for one in hidden):
                    view = View.of(found).cut(seen)[..., ::-1].transpose(2, 0, 1)
                    made.append((view, np.full(4, np.nan, np.float32)))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bank", type=Path)
    parser.add_argument("mined", type=Path)
    parser.add_argument("--detector", type=Path, required=True)
    parser.add_argument("--video", type=Path, required=True, help="car-detection.mp4")
    parser.add_argument("--composed", type=int, default=320, help="pictures composed of sprites")
    parser.add_argument("--seed", type=int, default=5)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    composer = Composer(args.bank, "cpu", args.seed)
    finder = PlatesAndHeads(args.detector, "", score_min=LEAST)
    made = mine_video(finder, args.video)
    own = len(made)
    boxes = composer.scene_boxes.numpy()
    for index, (scene, box) in enumerate(zip(composer.scenes.numpy(), boxes, strict=True)):
        if index == composer.photographs:
            own = len(made)
        image = scene[::-1].transpose(1, 2, 0)
        there = box[None] if np.isfinite(box).all() else np.zeros((0, 4), np.float32)
        for size in SIZES:
            seen = np.asarray(cv2.resize(image, None, fx=size, fy=size), np.uint8)
            made += mine(finder, np.ascontiguousarray(seen), there * size)
    for _ in range(args.composed // 16):
        pictures, placed, kinds = composer.batch(16)
        seen_all = (pictures.flip(1) * 255).round().numpy().astype(np.uint8)
        for picture, found, kind in zip(seen_all, placed.numpy(), kinds.numpy(), strict=True):
            image = np.ascontiguousarray(picture.transpose(1, 2, 0))
            made += mine(finder, image, found[kind == 0])
    views = np.stack([view for view, _ in made])
    where = np.stack([box for _, box in made])
    np.savez_compressed(args.mined, views=views, boxes=where, photographs=own)
    plates = int(np.isfinite(where[:, 0]).sum())
    print(f"{args.mined}: {len(made)} views, {plates} of plates, {own} of photographs")


if __name__ == "__main__":
    main()
