"""Trains the detector of vehicles:

    python -m train.traffic.fit BANK.npz OUT.pt --begin privacy.pt --seconds 450 --device cuda

Without --begin it starts from random weights, with it from those of the detector of plates and
heads (`train.privacy.fit`). Kept is the moving average of the weights, written each minute.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from pathlib import Path

import torch
from torch import Tensor

from train.device import prepared
from train.traffic.compose import TILE_PX, RoadComposer
from train.traffic.loss import detection_loss, pair_iou
from train.traffic.network import TYPES, VehicleDetector, boxes_of, cells

SAVE_EVERY_S = 60.0
HELD = 60
"""Drawn pictures of the bank that are not learned from."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bank", type=Path)
    parser.add_argument("--begin", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--hold", action="store_true")
    parser.add_argument("--seconds", type=float, default=450.0)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    fit(parser.parse_args())


def fit(args: argparse.Namespace) -> None:
    """Train until the time is over; the rate rises at first and falls by a cosine."""
    cuda = prepared(args.device, args.seed)
    began = time.monotonic()
    composer = RoadComposer(args.bank, args.device, args.seed, slice(HELD, None))
    held_from = RoadComposer(args.bank, args.device, 99, slice(0, HELD), photographs=False)
    model = VehicleDetector().to(args.device).to(memory_format=torch.channels_last)
    if args.begin:
        model.begin_with(torch.load(args.begin, map_location=args.device, weights_only=True))
    if args.hold:
        model.hold()
    average = copy.deepcopy(model).eval()
    grid = cells(*TILE_PX, args.device)
    held = [held_from.batch(min(32, args.batch)) for _ in range(3)]
    optimiser = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=args.rate, weight_decay=5e-4
    )
    step, saved = 0, time.monotonic()
    print(
        f"begins after {time.monotonic() - began:.1f} s: {measured(average, held, grid)}",
        flush=True,
    )
    while (gone := time.monotonic() - began) < args.seconds:
        share = gone / args.seconds
        rate = args.rate * min(1.0, share / 0.04 + 0.02) * (0.5 + 0.5 * math.cos(share * math.pi))
        for group in optimiser.param_groups:
            group["lr"] = rate + 1e-6
        image, boxes, kinds = composer.batch(args.batch)
        with torch.autocast(args.device.split(":")[0], torch.bfloat16, enabled=cuda):
            out = model(image.contiguous(memory_format=torch.channels_last))
        losses = detection_loss(out, grid, boxes, kinds)
        optimiser.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
        keep = min(0.998, (1 + step) / (10 + step))
        with torch.no_grad():
            for mine, theirs in zip(average.parameters(), model.parameters(), strict=True):
                mine.lerp_(theirs, 1 - keep)
            for mine, theirs in zip(average.buffers(), model.buffers(), strict=True):
                mine.copy_(theirs)
        step += 1
        if time.monotonic() - saved > SAVE_EVERY_S:
            saved = time.monotonic()
            _save(average, args.out)
            told = ", ".join(f"{k} {v.item():.2f}" for k, v in losses.items())
            print(f"{gone:.0f} s, step {step}: {told}; {measured(average, held, grid)}", flush=True)
    _save(average, args.out)
    print(f"{step} steps; {measured(average, held, grid)}", flush=True)


@torch.no_grad()  # type: ignore[untyped-decorator]
def measured(
    model: VehicleDetector, held: list[tuple[Tensor, Tensor, Tensor]], grid: Tensor
) -> str:
    """Shares of objects that a cell of chance above 0.3 finds (IoU above 0.5) and names."""
    hits = dict.fromkeys((-1, *range(len(TYPES))), 0)
    total = dict.fromkeys((-1, *range(len(TYPES))), 0)
    hot = 0
    for image, boxes, kinds in held:
        out = model(image.contiguous(memory_format=torch.channels_last)).float()
        found = boxes_of(out, grid)
        chance = torch.sigmoid(out[..., 4]) * torch.sigmoid(out[..., 5:]).amax(-1)
        named = out[..., 5:].argmax(-1)
        hot += int((chance > 0.3).sum())
        for n, k in torch.nonzero(kinds >= 0).tolist():
            kind = int(kinds[n, k])
            sure = chance[n] > 0.3
            near = pair_iou(found[n][sure], boxes[n, k][None]) > 0.5
            total[kind] += 1
            total[-1] += 1
            hits[-1] += bool(near.any())
            hits[kind] += bool((near & (named[n][sure] == kind)).any())
    shares = [f"{name} {hits[k] / max(1, total[k]):.2f}" for k, name in enumerate(TYPES)]
    return f"found {hits[-1] / max(1, total[-1]):.3f}; {', '.join(shares)}; {hot} hot"


def _save(model: VehicleDetector, path: Path) -> None:
    part = path.with_suffix(".part")
    torch.save({k: v.cpu() for k, v in model.state_dict().items()}, part)
    part.replace(path)


if __name__ == "__main__":
    main()
