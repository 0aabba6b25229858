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
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from train.privacy.heads import draw_head, portrait
from train.privacy.packing import pack
from train.privacy.plates import draw_plate, fonts
from train.privacy.scenes import SCENE_PX, draw_scene
from train.privacy.things import draw_thing

Bytes = npt.NDArray[np.uint8]

MARKED = {
    # frame of car-detection.mp4: x, y, width, height of each plate in px
    76: [(368, 368, 30, 14)],
    80: [(356, 293, 27, 14)],
    84: [(346, 234, 28, 12)],
    88: [(340, 175, 26, 12)],
    92: [(336, 122, 24, 11)],
    96: [(333, 79, 23, 11)],
    100: [(333, 36, 22, 10)],
    188: [(188, 72, 23, 11)],
    192: [(181, 119, 23, 11)],
    196: [(171, 176, 25, 12)],
    200: [(161, 241, 26, 12)],
    204: [(151, 309, 27, 11)],
    206: [(145, 351, 28, 11), (395, 411, 33, 11)],
    208: [(139, 395, 28, 12), (393, 370, 32, 12)],
    210: [(390, 331, 31, 12)],
    212: [(388, 302, 31, 12)],
    214: [(386, 266, 29, 12)],
    216: [(383, 233, 29, 12)],
    220: [(379, 180, 28, 12)],
    224: [(373, 127, 26, 12)],
    316: [(239, 2, 20, 12)],
    320: [(225, 65, 22, 14)],
    324: [(211, 148, 23, 14)],
    328: [(201, 234, 24, 15)],
    332: [(190, 349, 27, 16)],
}
"""Boxes of the plates of all four cars: marked by hand in nine frames, in the others found by an
earlier detector near the way between, and looked at."""
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
    parser.add_argument("--empty", type=Path, nargs="*", default=[], help="videos of nobody")
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
            image = _rgb(cv2.imread(str(args.portraits / name)))
            sprites += [
                (KINDS["heads"], portrait(rng, image, where)) for _ in range(args.heads // 8)
            ]
    scenes = [made for (kind, _), made in zip(jobs, drawn, strict=True) if kind == "scenes"]
    backs, boxes = video_scenes(args.video)
    if args.photographs:
        backs += photographs(args.photographs)
    for path in args.empty:
        backs += spread(path)
    boxes += [(np.nan,) * 4] * (len(backs) - len(boxes)) + [box for _, box in scenes]
    sizes = np.array([made[1] for _, made in sprites], np.float32)
    pack(
        args.bank,
        [made[0] for _, made in sprites],
        backs + [made for made, _ in scenes],
        sizes=sizes,
        classes=np.array([kind for kind, _ in sprites], np.int64),
        boxes=np.array(boxes, np.float32),
        photographs=np.array(len(backs)),
    )
    print(
        f"{args.bank}: {len(sprites)} sprites, {len(backs)} photographs, {len(scenes)} drawn scenes"
    )


def _draw(job: tuple[str, int]) -> tuple[Bytes, tuple[float, ...]]:
    kind, seed = job
    cv2.setNumThreads(1)
    rng = np.random.default_rng([seed, len(kind)])
    if kind == "plates":
        return draw_plate(rng, fonts())
    if kind == "heads":
        return draw_head(rng)
    if kind == "others":
        return draw_thing(rng, fonts())
    return draw_scene(rng, fonts())


def _rgb(image: Any) -> Bytes:
    """A picture as OpenCV reads it, in the order red, green, blue."""
    if image is None:
        raise SystemExit("a picture could not be read")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def video_scenes(path: Path) -> tuple[list[Bytes], list[tuple[float, ...]]]:
    """Squares (320, 320, 3), RGB, of car-detection.mp4, and the plate in each (or not a number)."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        ok, frame = capture.read()
        if not ok:
            break
        frames.append(_rgb(frame))
    if not frames:
        raise SystemExit(f"{path}: no frame could be read")
    pictures: list[Bytes] = []
    boxes: list[tuple[float, ...]] = []
    for number, plates in MARKED.items():
        for x, y, w, h in plates:
            for shift in (60, 160, 250):
                left = int(np.clip(x + w / 2 - shift, 0, frames[0].shape[1] - SCENE_PX))
                top = int(np.clip(y + h / 2 - (320 - shift), 0, frames[0].shape[0] - SCENE_PX))
                if sum(left - 20 < p[0] < left + SCENE_PX for p in plates) > 1:
                    continue  # a second plate, which its one box would not name
                pictures.append(frames[number][top : top + SCENE_PX, left : left + SCENE_PX])
                boxes.append((x - left, y - top, x - left + w, y - top + h))
    for number in EMPTY:
        pictures.append(frames[number][:SCENE_PX, :SCENE_PX])
        boxes.append((np.nan,) * 4)
    return pictures, boxes


def spread(path: Path, frames: int = 6) -> list[Bytes]:
    """Squares (320, 320, 3), RGB, of frames spread over a video without plates and faces."""
    capture = cv2.VideoCapture(str(path))
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    made: list[Bytes] = []
    for number in range(0, count, max(1, count // frames)):
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        ok, frame = capture.read()
        if ok:
            image = _rgb(frame)
            made += [image[:SCENE_PX, :SCENE_PX], image[-SCENE_PX:, -SCENE_PX:]]
    return made


def photographs(folder: Path) -> list[Bytes]:
    """Squares (320, 320, 3), RGB, of the pictures in a folder, at two sizes."""
    made: list[Bytes] = []
    for path in sorted(folder.iterdir()):
        image = cv2.imread(str(path))
        if image is None:
            continue
        image = _rgb(image)
        for size in (340, 640):
            scale = size / min(image.shape[:2])
            how = cv2.INTER_AREA
            smaller = cv2.resize(image, None, fx=scale, fy=scale, interpolation=how)
            resized = np.asarray(smaller, np.uint8)
            high, wide = resized.shape[:2]
            for top in range(0, high - SCENE_PX + 1, SCENE_PX):
                made += [
                    resized[top : top + SCENE_PX, left : left + SCENE_PX]
                    for left in range(0, wide - SCENE_PX + 1, SCENE_PX)
                ]
    return made


if __name__ == "__main__":
    main()
