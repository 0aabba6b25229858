"""`mastra model quantise`: the int8 form of a bundle's network for the server."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..output import check_output, write_json

HELP = """\
Give a bundle the part cloud_int8: its server's network in int8, judged on your labelled pictures
against the exact one. The engine auto of the gateway takes it where that is faster. Needs onnx
and onnxruntime; --by nncf needs nncf, which runs in a process that cannot report home."""
EXAMPLE = "mastra model quantise my_bundle --data pictures --train more_pictures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("bundle", metavar="BUNDLE", help="folder, or name of an installed bundle")
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled pictures")
    parser.add_argument("--names", type=Path, metavar="FILE", help="take only pictures named there")
    parser.add_argument("--train", type=Path, help="folder to calibrate with instead")
    parser.add_argument("--train-names", type=Path, metavar="FILE", help="only those named there")
    parser.add_argument(
        "--calibration", type=int, default=200, metavar="N", help="pictures; default: 200"
    )
    parser.add_argument(
        "--by", choices=("onnxruntime", "nncf"), default="onnxruntime", help="default: onnxruntime"
    )
    parser.add_argument(
        "--views", type=int, choices=(1, 2), default=0, help="of each frame; default: as the exact"
    )
    parser.add_argument("--threshold", type=float, metavar="SCORE", help="least score that counts")
    parser.add_argument(
        "--max-loss", type=float, default=0.02, help="of accuracy, 0 to 1; default: 0.02"
    )
    parser.add_argument("--allow-loss", action="store_true", help="write the bundle all the same")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="a new bundle; default: into BUNDLE itself"
    )
    parser.add_argument("--replace", action="store_true", help="replace what is there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report there")


def run(args: argparse.Namespace) -> int:
    """Quantise, judge and print the report."""
    from ...inference import load_bundle
    from ...model.convert.add_int8 import Int8Options, add_int8, table
    from ...model.dataset import open_dataset
    from ...model.progress import Bar

    check_output(args.json, "--json")
    bundle = load_bundle(args.bundle)
    data = open_dataset(args.data, bundle.task, bundle.labels, names=args.names)
    training = None
    if args.train or args.train_names:
        training = open_dataset(
            args.train or args.data, bundle.task, bundle.labels, names=args.train_names
        )
    out = args.out or bundle.path.parent
    options = Int8Options(
        by=args.by,
        calibration=max(args.calibration, 1),
        max_loss=args.max_loss,
        allow_loss=args.allow_loss,
        views=args.views,
        threshold=args.threshold,
        replace=args.replace,
    )
    report = add_int8(bundle, out, data, options, training=training, progress=Bar())
    print(table(report))
    print(f"\n{out}: has the part cloud_int8")
    if args.json:
        write_json(args.json, report)
    return 0
