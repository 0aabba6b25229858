"""Draws what the detector of vehicles learns from, once, into one file:

    python -m train.traffic.bank BANK.npz --video car-detection.mp4 --teacher yolox_nano.onnx

Drawn roads with their objects, and frames of car-detection.mp4 (CC BY 4.0, Intel): its camera
stands still, so what differs from the empty road is a vehicle, and YOLOX-nano (Apache-2.0) says of
which type. Nothing of the pictures that only test comes in here.
Arrays: `jpegs` and `ends`, the pictures as JPEG one after another; `boxes` (n, 6): picture, box in
px, type.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mastra_ros.inference.engines.reporting import load_onnxruntime
from mastra_ros.inference.yolox import cells_of
from train.traffic.scenes import draw_scene

Rgb = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]

QUALITY = 78
OF_COCO = {0: 6, 1: 5, 2: 0, 3: 4, 5: 3, 7: 2}
"""Our types for those of the teacher."""
SURE = 0.5
APART = 26
"""Grey levels between a vehicle and the road below it."""
AREA_LEAST_PX = 1500
WIDE_MOST_PX = 200
"""What is wider are two cars side by side: such frames are left out."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bank", type=Path)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=1200)
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    with ProcessPoolExecutor(args.processes) as pool:
        seeds = [args.seed * 1_000_003 + n for n in range(args.scenes)]
        drawn = list(pool.map(_drawn, seeds, chunksize=20))
    real = list(_video(args.video, args.teacher, args.every))
    jpegs = [one[0] for one in drawn + real]
    boxes = [
        np.hstack([np.full((len(found), 1), number), found])
        for number, (_, found) in enumerate(drawn + real)
    ]
    np.savez(
        args.bank,
        jpegs=np.frombuffer(b"".join(jpegs), np.uint8),
        ends=np.cumsum([len(one) for one in jpegs]),
        boxes=np.concatenate(boxes).astype(np.float32),
        drawn=np.array(len(drawn)),
    )
    print(f"{args.bank}: {len(drawn)} drawn, {len(real)} real, {args.bank.stat().st_size} bytes")


def _drawn(seed: int) -> tuple[bytes, Boxes]:
    cv2.setNumThreads(1)
    image, boxes = draw_scene(np.random.default_rng(seed))
    return _jpeg(image), boxes


def _jpeg(image: npt.NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1])


def _video(path: Path, teacher: Path, every: int) -> Iterator[tuple[bytes, Boxes]]:
    """Frames of the fixed camera: boxes from the empty road, types from the teacher."""
    session = load_onnxruntime().InferenceSession(str(teacher))
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        ok, frame = capture.read()
        if not ok:
            break
        frames.append(np.asarray(frame, np.uint8))
    empty = np.median(np.stack(frames[::12]), axis=0).astype(np.uint8)
    for frame in frames[::every]:
        boxes = differing(frame, empty)
        if not len(boxes) or (boxes[:, 2] - boxes[:, 0]).max() < WIDE_MOST_PX:
            yield _jpeg(frame), named(session, frame, boxes)


def differing(image: Rgb, empty: Rgb) -> Boxes:
    """Boxes (n, 4) of what stands on the road that is empty in the other picture."""
    # The camera's exposure follows what is in sight.
    gain = np.median(empty, axis=(0, 1)) / np.maximum(np.median(image, axis=(0, 1)), 1)
    evened = np.clip(image * gain, 0, 255).astype(np.uint8)
    # What is darker is shadow; of these cars only the panes are, and those lie within them.
    apart = cv2.GaussianBlur(cv2.subtract(evened, empty).max(2), (0, 0), 2)
    mask = cv2.morphologyEx((apart > APART).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5)))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((45, 9), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    boxes = [(x, y, x + w, y + h) for x, y, w, h, area in stats[1:] if area > AREA_LEAST_PX]
    return np.array(boxes, np.float32).reshape(-1, 4)


def named(session: Any, image: Rgb, boxes: Boxes) -> Boxes:
    """The boxes with the types that the teacher gives them; (n, 5). A car where it sees nothing."""
    scale = 416 / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    padded = np.full((416, 416, 3), 114, np.uint8)
    padded[: small.shape[0], : small.shape[1]] = small
    tensor = padded.transpose(2, 0, 1)[None].astype(np.float32)
    out = session.run(None, {"images": tensor})[0][0]
    grid = cells_of(416, 416, (8, 16, 32))
    middles = (out[:, :2] + grid[:, :2]) * grid[:, 2:] / scale
    scores = out[:, 4:5] * out[:, 5:][:, list(OF_COCO)]
    kinds = []
    for left, top, right, bottom in boxes:
        inside = (middles[:, 0] > left) & (middles[:, 0] < right)
        inside &= (middles[:, 1] > top) & (middles[:, 1] < bottom)
        best = scores[inside].max(0)
        kinds.append(list(OF_COCO.values())[int(best.argmax())] if best.max() > SURE else 0)
    return np.hstack([boxes, np.array(kinds, np.float32).reshape(-1, 1)]).astype(np.float32)


if __name__ == "__main__":
    main()
