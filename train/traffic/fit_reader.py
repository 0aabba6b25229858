"""Trains the reader of plates on plates that are drawn as it learns:

    python -m train.traffic.fit_reader LETTERS.npz OUT.pt --seconds 420 --device cuda

Kept is the moving average of the weights; it is written every 20 s.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from train.device import prepared
from train.traffic.letters import LETTERS
from train.traffic.plates import PlateComposer
from train.traffic.reader import BLANK, PlateReader, evened, read

SAVE_EVERY_S = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("letters", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=420.0)
    parser.add_argument("--batch", type=int, default=384)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--start", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    fit(parser.parse_args())


def fit(args: argparse.Namespace) -> None:
    """Train until the time is over; the rate rises at first and falls by a cosine."""
    cuda = prepared(args.device, args.seed)
    began = time.monotonic()
    composer = PlateComposer(args.letters, args.device, args.seed)
    model = PlateReader().to(args.device)
    if args.start:
        model.load_state_dict(torch.load(args.start, map_location=args.device, weights_only=True))
    average = copy.deepcopy(model).eval()
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=0.02)
    held = [composer.batch(min(384, args.batch)) for _ in range(3)]
    step, saved = 0, time.monotonic()
    while (gone := time.monotonic() - began) < args.seconds:
        share = gone / args.seconds
        rate = args.rate * min(1.0, share / 0.04 + 0.02) * (0.5 + 0.5 * math.cos(share * math.pi))
        for group in optimiser.param_groups:
            group["lr"] = rate + 1e-6
        image, text = composer.batch(args.batch)
        model.train()
        with torch.autocast(args.device.split(":")[0], torch.bfloat16, enabled=cuda):
            logits = model(evened(image))
        loss = ctc(logits.float(), text)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimiser.step()
        keep = min(0.999, (1 + step) / (10 + step))
        with torch.no_grad():
            for mine, theirs in zip(
                average.state_dict().values(), model.state_dict().values(), strict=True
            ):
                if mine.is_floating_point():
                    mine.lerp_(theirs, 1 - keep)
        step += 1
        if time.monotonic() - saved > SAVE_EVERY_S:
            saved = time.monotonic()
            _save(average, args.out)
            print(
                f"{gone:.0f} s, step {step}: {loss.item():.3f}; {measured(average, held)}",
                flush=True,
            )
    _save(average, args.out)
    print(f"{step} steps; {measured(average, held)}", flush=True)


def ctc(logits: Tensor, text: Tensor) -> Tensor:
    """The loss of texts (N, 9), filled up with -1."""
    lengths = (text >= 0).sum(1)
    places = torch.full_like(lengths, logits.shape[1])
    chances = F.log_softmax(logits, -1).transpose(0, 1)
    return F.ctc_loss(chances, text.clamp(min=0), places, lengths, blank=BLANK, zero_infinity=True)


@torch.no_grad()  # type: ignore[untyped-decorator]
def measured(model: PlateReader, held: list[tuple[Tensor, Tensor]]) -> str:
    """The share of drawn plates read whole, and so with O, Q as 0 and I as 1."""
    right = folded = total = 0
    for image, text in held:
        for said, wanted in zip(read(model(evened(image)).float()), text.tolist(), strict=True):
            true = "".join(LETTERS[k] for k in wanted if k >= 0)
            right += said == true
            table = str.maketrans("OQI", "001")
            folded += said.translate(table) == true.translate(table)
            total += 1
    return f"read {right / total:.3f}, folded {folded / total:.3f}"


def _save(model: PlateReader, path: Path) -> None:
    part = path.with_suffix(".part")
    torch.save({k: v.cpu() for k, v in model.state_dict().items()}, part)
    part.replace(path)


if __name__ == "__main__":
    main()
