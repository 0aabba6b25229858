"""Draws what training pastes and pastes upon, once, into one file:

    python -m train.privacy.bank BANK.npz --video ../shared/data/videos/car-detection.mp4

Sprites of plates, heads and other things, drawn scenes, and frames of car-detection.mp4 (CC BY 4.0)
with the plates of its cars marked by hand. With --photographs, pictures without plates and faces
from a folder become backgrounds as well. Nothing of the pictures that only test comes in here.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from train.privacy.heads import draw_head, portrait
from train.privacy.plates import draw_plate, fonts
from train.privacy.scenes import SCENE_PX, draw_distractor, draw_scene

Bytes = npt.NDArray[np.uint8]

MARKED = {
    # frame of car-detection.mp4: x, y, width, height of a plate in px
    80: (356, 294, 26, 13),
    90: (338, 148, 25, 12),
    98: (333, 56, 22, 11),
    190: (184, 97, 23, 12),
    200: (162, 241, 25, 11),
    206: (146, 351, 27, 12),
    210: (392, 331, 29, 12),
    220: (379, 180, 28, 12),
    320: (225, 64, 21, 14),
}
EMPTY = (5, 40, 130, 250, 300, 360)
"""Frames of car-detection.mp4 with nothing but the road."""
PORTRAITS = {
    # file: x and y of a face's middle, its width in px
    "astronaut.png": (226, 118, 88),
    "grace_hopper.jpg": (266, 231, 165),
    "face.jpg": (306, 113, 92),
}
"""Three portraits: two in the public domain (NASA, US Navy; scikit-image and matplotlib bring
them), one from Google's Coral examples (Apache-2.0)."""
KINDS = {"plates": 0, "heads": 1, "others": -1}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bank", type=Path)
    parser.add_argument(
        "--video", type=Path, required=True, help="car-detection.mp4, or its frames as %%04d.jpg"
    )
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--portraits", type=Path)
    parser.add_argument("--plates", type=int, default=4000)
    parser.add_argument("--heads", type=int, default=2500)
    parser.add_argument("--others", type=int, default=800)
    parser.add_argument("--scenes", type=int, default=700)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    jobs = [
        (kind, seed)
        for kind in ("plates", "heads", "others", "scenes")
        for seed in range(getattr(args, kind))
    ]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        drawn = list(
            pool.map(_draw, [(kind, args.seed * 1_000_003 + n) for kind, n in jobs], chunksize=50)
        )
    sprites = [
        (KINDS[kind], made) for (kind, _), made in zip(jobs, drawn, strict=True) if kind != "scenes"
    ]
    if args.portraits:
        rng = np.random.default_rng(args.seed)
        for name, where in PORTRAITS.items():
            image = cv2.cvtColor(cv2.imread(str(args.portraits / name)), cv2.COLOR_BGR2RGB)
            sprites += [
                (KINDS["heads"], portrait(rng, image, where)) for _ in range(args.heads // 8)
            ]
    scenes = [made[0] for (kind, _), made in zip(jobs, drawn, strict=True) if kind == "scenes"]
    backs, boxes = video_scenes(args.video)
    if args.photographs:
        backs += photographs(args.photographs)
    nothing = (np.nan,) * 4
    boxes += [nothing] * (len(backs) - len(boxes) + len(scenes))
    np.savez(
        args.bank,
        sprites=np.stack([made[0] for _, made in sprites]),
        sizes=np.array([made[1] for _, made in sprites], np.float32),
        classes=np.array([kind for kind, _ in sprites], np.int64),
        scenes=np.stack(backs + scenes),
        boxes=np.array(boxes, np.float32),
    )
    print(
        f"{args.bank}: {len(sprites)} sprites, {len(backs)} photographs, {len(scenes)} drawn scenes"
    )


def _draw(job: tuple[str, int]) -> tuple[Bytes, tuple[int, int]]:
    kind, seed = job
    cv2.setNumThreads(1)
    rng = np.random.default_rng([seed, len(kind)])
    if kind == "plates":
        return draw_plate(rng, fonts())
    if kind == "heads":
        return draw_head(rng)
    if kind == "others":
        return draw_distractor(rng, fonts())
    return draw_scene(rng, fonts()), (0, 0)


def video_scenes(path: Path) -> tuple[list[Bytes], list[tuple[float, ...]]]:
    """Squares (320, 320, 3), RGB, of car-detection.mp4, and the plate in each (or not a number)."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        ok, frame = capture.read()
        if not ok:
            break
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    if not frames:
        raise SystemExit(f"{path}: no frame could be read")
    pictures: list[Bytes] = []
    boxes: list[tuple[float, ...]] = []
    for number, (x, y, w, h) in MARKED.items():
        for shift in (60, 160, 250):
            left = int(np.clip(x + w / 2 - shift, 0, frames[0].shape[1] - SCENE_PX))
            top = int(np.clip(y + h / 2 - (320 - shift), 0, frames[0].shape[0] - SCENE_PX))
            pictures.append(frames[number][top : top + SCENE_PX, left : left + SCENE_PX])
            boxes.append((x - left, y - top, x - left + w, y - top + h))
    for number in EMPTY:
        pictures.append(frames[number][:SCENE_PX, :SCENE_PX])
        boxes.append((np.nan,) * 4)
    return pictures, boxes


def photographs(folder: Path) -> list[Bytes]:
    """Squares (320, 320, 3), RGB, of the pictures in a folder, at two sizes."""
    made = []
    for path in sorted(folder.iterdir()):
        image = cv2.imread(str(path))
        if image is None:
            continue
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        for size in (340, 640):
            scale = size / min(image.shape[:2])
            resized = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            high, wide = resized.shape[:2]
            for top in range(0, high - SCENE_PX + 1, SCENE_PX):
                made += [
                    resized[top : top + SCENE_PX, left : left + SCENE_PX]
                    for left in range(0, wide - SCENE_PX + 1, SCENE_PX)
                ]
    return made


if __name__ == "__main__":
    main()
