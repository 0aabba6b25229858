"""From a whole board to a training crop: position, symmetry, scale, and the look of a camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from train.data import Floats, Sample

# A box cut by the crop's border is kept if this much of its area is visible, else ignored.
VISIBLE_SHARE = 0.6
MIN_VISIBLE_SHARE = 0.05


@dataclass(frozen=True)
class Crop:
    """`image` (S, S) float32 in 0..1; `boxes`, `labels` to find; `ignored` (M, 4): cut boxes."""

    image: Floats
    boxes: Floats
    labels: npt.NDArray[np.int64]
    ignored: Floats


def random_crop(
    rng: np.random.Generator,
    sample: Sample,
    size_px: int,
    *,
    scales: tuple[float, float],
    spot: tuple[float, float] | None = None,
) -> Crop:
    """A crop around `spot` (x, y), a defect, or anywhere; half of them keep the scale of 1."""
    image: npt.NDArray[np.uint8] = sample.image
    scale = 1.0 if rng.random() < 0.5 else float(rng.uniform(*scales))
    height, width = image.shape
    reach = size_px / scale / 2
    if spot is not None:
        centre = np.array(spot) + rng.uniform(-0.7, 0.7, 2) * reach
    elif len(sample.boxes) and rng.random() < 0.6:
        box = sample.boxes[int(rng.integers(len(sample.boxes)))]
        middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
        centre = middle + rng.uniform(-0.85, 0.85, 2) * reach
    else:
        centre = rng.uniform(0, 1, 2) * np.array([width, height])
    if rng.random() < 0.85:
        limit = np.array([width, height], dtype=np.float64)
        centre = np.clip(centre, np.minimum(reach, limit / 2), np.maximum(limit - reach, limit / 2))
    if scale == 1.0:
        centre = np.floor(centre)
    matrix = _symmetry(rng) * scale
    # Pixel centres lie at +0.5, so that a turned crop of scale 1 hits pixels exactly.
    shift = np.full(2, size_px / 2) - matrix @ centre
    image_shift = shift + matrix @ np.full(2, 0.5) - 0.5
    if scale < 0.8 and rng.random() < 0.7:
        image = cv2.GaussianBlur(image, (0, 0), 0.35 / scale).astype(np.uint8)
    pixels = cv2.warpAffine(
        image,
        np.hstack([matrix, image_shift[:, None]]),
        (size_px, size_px),
        flags=cv2.INTER_NEAREST if scale == 1.0 else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    if rng.random() < 0.2:
        pixels = _other_width(rng, pixels.astype(np.uint8))
    moved = _move_boxes(sample.boxes, matrix, shift)
    clipped = np.clip(moved, 0, size_px)
    share = _area(clipped) / np.maximum(_area(moved), 1e-6)
    keep = share >= VISIBLE_SHARE
    cut = (share < VISIBLE_SHARE) & (share > MIN_VISIBLE_SHARE)
    return Crop(
        camera_look(rng, pixels.astype(np.uint8)), clipped[keep], sample.labels[keep], clipped[cut]
    )


def camera_look(rng: np.random.Generator, image: npt.NDArray[np.uint8]) -> Floats:
    """uint8 -> float32 in 0..1; two in five get gray levels, uneven light, blur, noise or JPEG."""
    pixels: Floats = image.astype(np.float32)
    if rng.random() > 0.4:
        return np.asarray(pixels / np.float32(255))
    low, high = rng.uniform(0, 80), rng.uniform(150, 255)
    pixels = pixels * np.float32((high - low) / 255) + np.float32(low)
    if rng.random() < 0.4:
        ramp = np.linspace(-1, 1, pixels.shape[0], dtype=np.float32) * rng.uniform(-25, 25)
        across = np.linspace(-1, 1, pixels.shape[1], dtype=np.float32) * rng.uniform(-25, 25)
        pixels = pixels + ramp[:, None].astype(np.float32) + across[None, :].astype(np.float32)
    if rng.random() < 0.5:
        pixels = cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.3, 1.2))).astype(np.float32)
    if rng.random() < 0.5:
        noise = rng.standard_normal(pixels.shape, dtype=np.float32)
        pixels = pixels + noise * np.float32(rng.uniform(1, 12))
    pixels = np.clip(pixels, 0, 255)
    if rng.random() < 0.3:
        quality = int(rng.integers(40, 95))
        coded = cv2.imencode(".jpg", pixels.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])
        pixels = np.asarray(cv2.imdecode(coded[1], cv2.IMREAD_GRAYSCALE)).astype(np.float32)
    return np.asarray(pixels / np.float32(255))


def _other_width(rng: np.random.Generator, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Lines one or two pixels wider or narrower: a design that the data lacks."""
    shape = (cv2.MORPH_CROSS, cv2.MORPH_RECT)[int(rng.integers(2))]
    kernel = cv2.getStructuringElement(shape, (3, 3))
    change = cv2.dilate if rng.random() < 0.5 else cv2.erode
    return np.asarray(change(image, kernel)).astype(np.uint8)


def _symmetry(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """One of the eight symmetries of the square, as a (2, 2) matrix."""
    signs = rng.choice([-1.0, 1.0], 2)
    matrix = np.diag(signs)
    return matrix[::-1].copy() if rng.random() < 0.5 else matrix


def _move_boxes(
    boxes: Floats, matrix: npt.NDArray[np.float64], shift: npt.NDArray[np.float64]
) -> Floats:
    a = boxes[:, :2] @ matrix.T + shift
    b = boxes[:, 2:] @ matrix.T + shift
    return np.concatenate([np.minimum(a, b), np.maximum(a, b)], axis=1).astype(np.float32)


def _area(boxes: Floats) -> Floats:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
