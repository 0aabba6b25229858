"""Trains the network that looks twice at what was taken for a plate:

    python -m train.privacy.second_fit BANK.npz MINED.npz OUT.pt

The weights kept are the moving average, written every 30 s.
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from train.device import prepared
from train.privacy.fit import learn, save, set_rate
from train.privacy.second_network import SecondLook
from train.privacy.second_views import ViewComposer

SAVE_EVERY_S = 30.0
KEPT = 40
"""Batches of which one is learned from again now and then."""
CORNERS_WEIGHT = 12.0
NEAR = 0.04
"""Below this distance, in shares of half a view, the loss of a corner is a square."""


def second_loss(
    said: tuple[Tensor, Tensor], plate: Tensor, corners: Tensor, whole: Tensor, counts: Tensor
) -> Tensor:
    """Cross entropy of the chance, and the distance of the corners, or of their hull's sides."""
    chance, placed = said
    sure = F.binary_cross_entropy_with_logits(chance, plate, weight=counts)
    plate = plate * counts
    far = F.smooth_l1_loss(placed, corners, beta=NEAR, reduction="none").mean((1, 2))
    hulls = F.smooth_l1_loss(_hull(placed), _hull(corners), beta=NEAR, reduction="none").mean(1)
    each = torch.where(whole > 0, far, hulls) * plate
    return sure + CORNERS_WEIGHT * each.sum() / plate.sum().clamp(min=1)


def _hull(corners: Tensor) -> Tensor:
    return torch.cat([corners.amin(1), corners.amax(1)], 1)


def fit(args: argparse.Namespace) -> None:
    """Train until the time is over; the rate rises for 5 % of it and falls by a cosine after."""
    prepared(args.device, args.seed)
    torch.set_num_threads(args.threads)
    composer = ViewComposer(args.bank, args.mined, args.device, args.seed)
    held = composer.views(1024)
    model = SecondLook().to(args.device, memory_format=torch.channels_last)
    if args.start:
        model.load_state_dict(torch.load(args.start, map_location=args.device, weights_only=True))
    average = copy.deepcopy(model).eval()
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=0.02)
    kept: list[tuple[Tensor, ...]] = []
    pick = np.random.default_rng(args.seed)
    began = saved = time.monotonic()
    step = 0
    while (gone := (time.monotonic() - began) / (60 * args.minutes)) < 1:
        set_rate(optimiser, args.rate, gone)
        if step % 2 == 0:  # to compose a batch takes twice as long as to learn from it
            batch = composer.views(args.batch)
            kept = [*kept[1 - KEPT :], batch]
        else:
            batch = kept[int(pick.integers(len(kept)))]
        views, *wanted = batch
        model.train()
        with torch.autocast(args.device.split(":")[0], torch.bfloat16):
            chance, placed = model(views.contiguous(memory_format=torch.channels_last))
        loss = second_loss((chance.float(), placed.float()), *wanted)
        learn(loss, optimiser, model, average, step)
        step += 1
        if time.monotonic() - saved > SAVE_EVERY_S:
            saved = time.monotonic()
            save(average, args.out)
            print(f"{gone:.0%}, step {step}: {loss.item():.3f}; {told(average, held)}", flush=True)
    save(average, args.out)
    print(f"{step} steps; {told(average, held)}", flush=True)


@torch.no_grad()  # type: ignore[untyped-decorator]
def told(model: SecondLook, held: tuple[Tensor, ...]) -> str:
    """What of the views kept aside it gets right."""
    views, plate, corners, whole, counts = held
    chance, placed = model(views)
    chance = torch.sigmoid(chance)
    there, none, known = plate * counts > 0, plate == 0, whole * counts > 0
    far = (placed - corners).abs().mean((1, 2))
    parts = [f"corners off {far[known].median():.3f} (90 %: {far[known].quantile(0.9):.3f})"]
    parts += [
        f"from {least}: {(chance[there] >= least).float().mean():.3f} of plates, "
        f"{(chance[none] >= least).float().mean():.3f} of others"
        for least in (0.1, 0.3, 0.5, 0.7)
    ]
    return "; ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bank", type=Path)
    parser.add_argument("mined", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--seed", type=int, default=0)
    fit(parser.parse_args())


if __name__ == "__main__":
    main()
