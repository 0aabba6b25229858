"""Trains the detector of plates and heads:

    python -m train.privacy.fit BANK.npz OUT.pt --minutes 20 --device cuda

The weights kept are the moving average; a checkpoint is written every 20 s, so that a run that is
cut short gives what it had.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from pathlib import Path

import torch

from train.device import prepared
from train.privacy.compose import SIDE_PX, Composer
from train.privacy.loss import decode, detection_loss, targets
from train.privacy.network import PrivacyDetector, centres_px

SAVE_EVERY_S = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bank", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    fit(args)


def fit(args: argparse.Namespace) -> None:
    """Train until the time is over; the rate rises for 5 % of it and falls by a cosine after."""
    cuda = prepared(args.device, args.seed)
    began = time.monotonic()
    composer = Composer(args.bank, args.device, args.seed)
    model = PrivacyDetector().to(args.device)
    if args.start:
        model.load_state_dict(torch.load(args.start, map_location=args.device, weights_only=True))
    model = model.to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).eval()
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=0.01)
    held = composer.batch(64)
    step, saved, length = 0, time.monotonic(), args.minutes * 60
    print(f"start {time.monotonic() - began:.1f} s", flush=True)
    while (gone := time.monotonic() - began) < length:
        share = gone / length
        set_rate(optimiser, args.rate, share)
        image, boxes, kinds = composer.batch(args.batch)
        heat, wanted = targets(boxes, kinds, SIDE_PX)
        model.train()
        with torch.autocast(args.device.split(":")[0], torch.bfloat16, enabled=cuda):
            out = model(image.contiguous(memory_format=torch.channels_last))
        focal, box = detection_loss(out, heat, wanted)
        learn(focal + 2 * box, optimiser, model, average, step)
        step += 1
        if time.monotonic() - saved > SAVE_EVERY_S:
            saved = time.monotonic()
            save(average, args.out)
            found = ", ".join(f"{k} {v:.3f}" for k, v in measure(average, held).items())
            print(
                f"{gone:.0f} s, step {step}: heat {focal.item():.3f} box {box.item():.3f}; {found}",
                flush=True,
            )
    save(average, args.out)
    print(
        f"{step} steps; " + ", ".join(f"{k} {v:.3f}" for k, v in measure(average, held).items()),
        flush=True,
    )


def set_rate(optimiser: torch.optim.Optimizer, highest: float, share: float) -> None:
    """At this share of the time: it rises for 5 % of it and falls by a cosine after."""
    rate = highest * min(1.0, share / 0.05 + 0.02) * (0.5 + 0.5 * math.cos(share * math.pi))
    for group in optimiser.param_groups:
        group["lr"] = rate + 1e-5


def learn(
    loss: torch.Tensor,
    optimiser: torch.optim.Optimizer,
    model: torch.nn.Module,
    average: torch.nn.Module,
    step: int,
) -> None:
    """One step of the model, which its moving average follows."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimiser.step()
    _follow(average, model, min(0.998, (1 + step) / (10 + step)))


def _follow(average: torch.nn.Module, model: torch.nn.Module, keep: float) -> None:
    with torch.no_grad():
        theirs, ours = list(model.state_dict().values()), list(average.state_dict().values())
        floats = [(a, b) for a, b in zip(ours, theirs, strict=True) if a.is_floating_point()]
        torch._foreach_mul_([a for a, _ in floats], keep)
        torch._foreach_add_([a for a, _ in floats], [b for _, b in floats], alpha=1 - keep)


def save(model: torch.nn.Module, path: Path) -> None:
    part = path.with_suffix(".part")
    torch.save({k: v.cpu() for k, v in model.state_dict().items()}, part)
    part.replace(path)


@torch.no_grad()  # type: ignore[untyped-decorator]
def measure(
    model: PrivacyDetector, held: tuple[torch.Tensor, ...], least: float = 0.25
) -> dict[str, float]:
    """Shares of plates and heads, by width, that a hot cell finds with an IoU above 0.5."""
    image, boxes, kinds = held
    outs = [model(part.contiguous(memory_format=torch.channels_last)) for part in image.split(16)]
    heat = torch.cat([torch.sigmoid(o[0].float()) for o in outs])
    found = torch.cat([decode(o[1]) for o in outs])
    shares = {}
    for name, kind, low, high in (
        ("plates<48", 0, 24, 48),
        ("plates>=48", 0, 48, 400),
        ("heads<16", 1, 6, 16),
        ("heads>=16", 1, 16, 80),
    ):
        across = boxes[..., 2] - boxes[..., 0]
        n, k = torch.nonzero((kinds == kind) & (across >= low) & (across < high), as_tuple=True)
        hits = 0
        for i, box in zip(n.tolist(), boxes[n, k], strict=True):
            hot = heat[i, kind] > least
            near = found[i][:, hot]
            overlap = (
                (torch.minimum(near[2:], box[2:, None]) - torch.maximum(near[:2], box[:2, None]))
                .clamp(min=0)
                .prod(0)
            )
            union = (near[2:] - near[:2]).prod(0) + (box[2:] - box[:2]).prod() - overlap
            hits += bool((overlap / union > 0.5).any())
        shares[name] = hits / max(1, len(n))
    x, y = centres_px(heat.shape[2], heat.shape[3], heat.device)
    left, top, right, bottom = (boxes[..., i, None, None] for i in range(4))
    inside = (x > left) & (x < right) & (y > top) & (y < bottom) & (kinds >= 0)[..., None, None]
    false = (heat > least).any(1) & ~inside.any(1)
    shares["false cells of 1000"] = float(false.float().mean() * 1000)
    return shares


if __name__ == "__main__":
    main()
