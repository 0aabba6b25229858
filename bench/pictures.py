"""Pictures without labels, from the photographs and videos in MASTRA_DATA."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mastra_ros.model.labels.pictures import read_picture

PICTURES = 960  # of each part, or fewer where they are taken whole
FRAMES = 60  # of each video and part
LEAST_SIDE = 0.6  # of a crop, as a share of the picture's shorter side

Picture = NDArray[np.uint8]


def sources_of(data: Path) -> dict[str, list[list[Picture]]]:
    """Photographs and frames of each video to learn from (`train`), and others to judge by."""
    read = [read_picture(path) for path in sorted((data / "images").iterdir())]
    photographs = [image for image in read if image is not None]
    found: dict[str, list[list[Picture]]] = {
        "train": [photographs[::2]],
        "val": [photographs[1::2]],
    }
    for video in sorted((data / "videos").glob("*.mp4")):
        capture = cv2.VideoCapture(str(video))
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        frames: list[Picture] = []
        for at in np.linspace(0, count - 1, 2 * FRAMES).astype(int):
            capture.set(cv2.CAP_PROP_POS_FRAMES, float(at))
            done, image = capture.read()
            if done:
                frames.append(np.asarray(image, np.uint8))
        found["train"].append(frames[:FRAMES])
        found["val"].append(frames[FRAMES:])
    return found


def pictures_in(
    sources: Sequence[Sequence[Picture]], folder: Path, size_px: int | None, seed: int
) -> list[Path]:
    """PICTURES from the sources in turn: as they are, or large square crops of `size_px`."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    paths = []
    for i in range(PICTURES):
        group = sources[i % len(sources)]
        image = group[i // len(sources) % len(group)]
        if size_px:
            side = int(min(image.shape[:2]) * rng.uniform(LEAST_SIDE, 1))
            y = int(rng.integers(0, image.shape[0] - side + 1))
            x = int(rng.integers(0, image.shape[1] - side + 1))
            crop = image[y : y + side, x : x + side]
            image = np.asarray(
                cv2.resize(crop, (size_px, size_px), interpolation=cv2.INTER_AREA), np.uint8
            )
        elif i // len(sources) >= len(group):
            continue  # whole pictures are taken once
        paths.append(folder / f"{i:04d}.png")
        cv2.imwrite(str(paths[-1]), image)
    return paths
