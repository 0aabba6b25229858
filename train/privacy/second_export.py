"""Writes the network that looks twice as an ONNX model of eight bits:

    python -m train.privacy.second_export SECOND.pt SECOND.onnx BANK.npz MINED.npz

Input `view` (N, 3, 48, 96), BGR in 0..255 as float32. Outputs `plate` (N,), the chance that it
shows a plate in its middle, and `corners` (N, 4, 2): see SecondLook. All but the last product is
computed with integers, their ranges taken from views composed of the bank.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from train.privacy.export import Floats, folded, quantise, take_bytes_in_bgr, weigh
from train.privacy.second_network import SecondLook
from train.privacy.second_views import ViewComposer

BYTES_MAX = 250_000
CALIBRATION_VIEWS, CALIBRATION_SEED = 512, 9


class Exported(nn.Module):
    """With its normalisation folded in, the order of colours and their scale inside."""

    def __init__(self, model: SecondLook) -> None:
        super().__init__()
        self.model = folded(model)
        take_bytes_in_bgr(self.model.body[0][0])

    def forward(self, view: Tensor) -> tuple[Tensor, Tensor]:
        said = self.model.last(self.model.all(self.model.body(view - 0.45 * 255)))
        return torch.sigmoid(said[:, 0]), said[:, 1:].view(-1, 4, 2)


def export(weights: Path, out: Path, bank: Path, mined: Path) -> None:
    """Write the model; SystemExit if it is larger than it may be."""
    model = SecondLook()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    torch.onnx.export(
        Exported(model),
        (torch.zeros(2, 3, 48, 96),),
        str(out),
        input_names=["view"],
        output_names=["plate", "corners"],
        dynamic_axes={name: {0: "n"} for name in ("view", "plate", "corners")},
        opset_version=17,
        dynamo=False,
    )
    quantise(out, "view", _views(bank, mined), last_convolutions=1)
    weigh(out, BYTES_MAX)


def _views(bank: Path, mined: Path) -> Iterator[Floats]:
    composer = ViewComposer(bank, mined, "cpu", CALIBRATION_SEED)
    views = composer.views(CALIBRATION_VIEWS)[0].flip(1) * 255
    yield from (part.numpy() for part in views.round().split(32))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("weights", "out", "bank", "mined"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    export(args.weights, args.out, args.bank, args.mined)


if __name__ == "__main__":
    main()
