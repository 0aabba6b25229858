"""Train a classifier of defects for a microcontroller on crops of DeepPCB's boards.

    python -m train.crops cut --data DIR --out FOLDER
    python -m train.crops fit --crops FOLDER --out FILE.pt [--activation relu6] [--epochs 14]
                              [--width 0.35] [--side 96] [--batch 128] [--device cpu|cuda]
                              [--network mobilenet_v2|mobilenet_v4|mobilenet_edgetpu]

`cut` writes a folder per class below FOLDER/train and FOLDER/val: 64x64 px around each defect,
enlarged to 96x96, and as many places without one, as `clean`. Boards of val.txt are in val alone.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mastra_ros.camera.drawn.board import LABELS
from train.data import read_ids, read_sample
from train.mobilenet import defect_crops
from train.mobilenet_edgetpu import defect_crops_edgetpu
from train.mobilenet_v4 import defect_crops_v4

log = logging.getLogger("train.crops")

CROP_PX, SIDE_PX = 64, 96
JITTER_PX = 6
CLASSES = sorted(["clean", *LABELS])
RATE = 2e-3
NETWORKS: dict[str, Callable[[str | None], nn.Module]] = {
    "mobilenet_v4": defect_crops_v4,
    "mobilenet_edgetpu": defect_crops_edgetpu,
}
"""Those that stand beside mobilenet_v2."""


def cut(data: Path, out: Path) -> None:
    """Write the crops of both lists of boards."""
    rng = np.random.default_rng(5)
    for split in ("train", "val"):
        for label in CLASSES:
            (out / split / label).mkdir(parents=True, exist_ok=True)
        for name in read_ids(data, f"{split}.txt"):
            sample = read_sample(data, name)
            centres = (sample.boxes[:, :2] + sample.boxes[:, 2:]) / 2
            jitter = rng.integers(-JITTER_PX, JITTER_PX + 1, centres.shape)
            found = [(c, LABELS[k]) for c, k in zip(centres + jitter, sample.labels, strict=True)]
            clean = rng.uniform(CROP_PX / 2, 640 - CROP_PX / 2, (2, 2))
            distances = np.abs(clean[:, None] - centres[None]).max(axis=2)
            away = distances.min(axis=1, initial=640) > CROP_PX
            found += [(c, "clean") for c in clean[away]]
            for i, (centre, label) in enumerate(found):
                path = out / split / label / f"{name}_{i}.png"
                cv2.imwrite(str(path), crop(sample.image, centre))


def crop(image: npt.NDArray[np.uint8], centre: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """SIDE_PX square around a centre (x, y), moved inside the picture where it would stick out."""
    height, width = image.shape
    x = int(np.clip(round(float(centre[0])) - CROP_PX // 2, 0, width - CROP_PX))
    y = int(np.clip(round(float(centre[1])) - CROP_PX // 2, 0, height - CROP_PX))
    small = image[y : y + CROP_PX, x : x + CROP_PX]
    return np.asarray(cv2.resize(small, (SIDE_PX, SIDE_PX)), np.uint8)


def load(folder: Path) -> tuple[Tensor, Tensor]:
    """All crops of a split: uint8 (n, 1, SIDE_PX, SIDE_PX) and classes (n,)."""
    images, classes = [], []
    for label in CLASSES:
        for path in sorted((folder / label).glob("*.png")):
            image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            if image is None:
                raise ValueError(f"expected an image at {path}")
            images.append(torch.from_numpy(np.asarray(image, np.uint8)))
            classes.append(CLASSES.index(label))
    return torch.stack(images)[:, None], torch.tensor(classes)


@dataclass(frozen=True)
class Fitting:
    """How to train."""

    epochs: int = 14
    threads: int = 2
    batch: int = 128
    side_px: int = SIDE_PX  # of what the network sees
    activation: str = "relu6"
    width: float = 0.35
    device: str = "cpu"
    network: str = "mobilenet_v2"  # which alone has an activation and a width

    def build(self, weights: Path | None) -> nn.Module:
        """The network, from these weights where given."""
        start = str(weights) if weights else None
        if self.network in NETWORKS:
            return NETWORKS[self.network](start)
        return defect_crops(start, activation=self.activation, width=self.width)


def fit(crops: Path, out: Path, how: Fitting, start: Path | None = None) -> float:
    """Train, from the weights `start` where given; write them; the accuracy on val, 0 to 1."""
    torch.manual_seed(1)
    torch.set_num_threads(how.threads)
    images, classes = (part.to(how.device) for part in load(crops / "train"))
    model = how.build(start).to(how.device).train()
    optimiser = torch.optim.AdamW(model.parameters(), RATE, weight_decay=1e-2)
    steps = how.epochs * (len(images) // how.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for epoch in range(how.epochs):
        order, total = torch.randperm(len(images)), 0.0
        for first in range(0, len(order) - how.batch + 1, how.batch):
            at = order[first : first + how.batch]
            batch = seen(images[at], how.side_px)
            turn = int(torch.randint(4, ()))
            batch = torch.rot90(batch, turn, (2, 3))
            batch = batch.flip(3) if torch.rand(()) < 0.5 else batch
            loss = nn.functional.cross_entropy(model(batch), classes[at], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        log.info("epoch %d: loss %.4f", epoch + 1, total / (len(order) // how.batch))
    torch.save({name: value.cpu() for name, value in model.state_dict().items()}, out)
    share: float = accuracy(model.eval(), *load(crops / "val"), how)
    return share


def seen(images: Tensor, side_px: int) -> Tensor:
    """uint8 crops as the network sees them: 0 to 1, enlarged to `side_px`."""
    batch = images.float() / 255
    if side_px == batch.shape[-1]:
        return batch
    return nn.functional.interpolate(batch, size=(side_px, side_px), mode="bilinear")


def accuracy(model: nn.Module, images: Tensor, classes: Tensor, how: Fitting) -> float:
    """Share of crops whose best class is right."""
    right = 0
    with torch.no_grad():
        for start in range(0, len(images), how.batch):
            batch = seen(images[start : start + how.batch].to(how.device), how.side_px)
            best = model(batch).argmax(1).cpu()
            right += int((best == classes[start : start + how.batch]).sum())
    return right / len(images)


def main() -> None:
    """Read the command line and cut or train."""
    parser = argparse.ArgumentParser(description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    cutting = actions.add_parser("cut")
    cutting.add_argument("--data", type=Path, required=True, help="the folder deeppcb")
    cutting.add_argument("--out", type=Path, required=True)
    fitting = actions.add_parser("fit")
    fitting.add_argument("--crops", type=Path, required=True)
    fitting.add_argument("--out", type=Path, required=True)
    fitting.add_argument("--activation", default=Fitting.activation)
    fitting.add_argument("--width", type=float, default=Fitting.width, help="1: as published")
    fitting.add_argument("--side", type=int, default=Fitting.side_px, help="px, multiple of 32")
    fitting.add_argument("--epochs", type=int, default=Fitting.epochs)
    fitting.add_argument("--batch", type=int, default=Fitting.batch)
    fitting.add_argument("--threads", type=int, default=Fitting.threads)
    fitting.add_argument("--device", default=Fitting.device, help="as PyTorch names it")
    fitting.add_argument(
        "--network",
        default=Fitting.network,
        choices=("mobilenet_v2", *NETWORKS),
    )
    fitting.add_argument("--start", type=Path, help="weights to go on from")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if args.action == "cut":
        cut(args.data, args.out)
    else:
        how = Fitting(
            args.epochs,
            args.threads,
            args.batch,
            args.side,
            args.activation,
            args.width,
            args.device,
            args.network,
        )
        share = fit(args.crops, args.out, how, args.start)
        log.info("val accuracy %.4f", share)


if __name__ == "__main__":
    main()
