"""The mean of two trainings' weights, where the second went on from the first:

    python -m train.privacy.mean FIRST.pt SECOND.pt OUT.pt

What the first knew and the second forgot is kept, and most of what the second learned (Wortsman et
al., 2022, "Robust fine-tuning of zero-shot models").
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch


def mean(first: Path, second: Path, out: Path) -> None:
    """Write it."""
    one, other = (torch.load(p, map_location="cpu", weights_only=True) for p in (first, second))
    made = {
        name: (tensor + one[name]) / 2 if tensor.is_floating_point() else tensor
        for name, tensor in other.items()
    }
    torch.save(made, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("first", "second", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    mean(args.first, args.second, args.out)
