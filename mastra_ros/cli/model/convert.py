"""`mastra model convert`: a bundle from a trained network."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import ConfigError

HELP = """\
Make a bundle: int8 TFLite for the device, float32 ONNX for the server, and a report that says
what int8 costs on your labelled pictures. SOURCE: module:factory[:weights] or a .pt2 (PyTorch),
.onnx, .tflite, .keras or .h5, or a SavedModel folder. What the network wants and gives is read
from --spec (task, labels, input, output as in bundle.yaml; another bundle will do). The networks
made from SOURCE are compared with it; what computes something else is refused."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("source", metavar="SOURCE", help="the trained network")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the new bundle")
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled pictures")
    parser.add_argument("--names", type=Path, metavar="FILE", help="take only pictures named there")
    parser.add_argument("--limit", type=int, metavar="N", help="measure on N pictures at random")
    parser.add_argument("--train", type=Path, help="folder to calibrate and fine-tune with instead")
    parser.add_argument("--train-names", type=Path, metavar="FILE", help="only those named there")
    parser.add_argument(
        "--tensors", type=Path, metavar="DIR", help="calibrate with ready .npy tensors instead"
    )
    parser.add_argument("--spec", type=Path, metavar="FILE|BUNDLE", help="describes the network")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="a line for each label")
    parser.add_argument("--size", metavar="WxH", help="the network's input, in px")
    parser.add_argument("--colour", choices=("gray", "rgb", "bgr"), help="default: rgb")
    parser.add_argument("--kind", help="of the output where --spec does not say it: yolov8, yolov5")
    parser.add_argument("--scores", help="logits or probabilities; default: as seen")
    parser.add_argument("--layout", help="of an ONNX file's input: nchw or nhwc; default: as seen")
    parser.add_argument("--name", help="of the bundle; default: its folder's")
    parser.add_argument("--cloud", type=Path, metavar="FILE.onnx", help="another model up there")
    parser.add_argument(
        "--cloud-int8", action="store_true", help="add the server's network in int8 too, judged"
    )
    parser.add_argument("--threshold", type=float, metavar="SCORE", help="least score that counts")
    parser.add_argument(
        "--calibration", type=int, default=100, metavar="N", help="pictures; default: 100"
    )
    parser.add_argument(
        "--quantize", choices=("ptq", "qat", "none"), default="ptq", help="default: ptq"
    )
    parser.add_argument("--epochs", type=int, default=3, help="of qat; default: 3")
    parser.add_argument("--rate", type=float, default=1e-5, help="of learning, qat; default: 1e-5")
    parser.add_argument(
        "--max-loss", type=float, default=0.02, help="of accuracy, 0 to 1; default: 0.02"
    )
    parser.add_argument("--allow-loss", action="store_true", help="write the bundle all the same")
    parser.add_argument("--replace", action="store_true", help="replace the bundle at --out")


def run(args: argparse.Namespace) -> int:
    """Convert and print the report."""
    from ...inference import load_bundle
    from ...model.convert.add_int8 import Int8Options, add_int8
    from ...model.convert.add_int8 import table as int8_table
    from ...model.convert.convert import Options, convert, input_of
    from ...model.convert.promise import read_promise
    from ...model.convert.qat import Tuning
    from ...model.convert.quantise import read_tensors
    from ...model.convert.source import raw_type, seen_size, source_of
    from ...model.dataset import open_dataset
    from ...model.description import THRESHOLD, describe, read_labels, read_spec
    from ...model.judge.report import table
    from ...model.progress import Bar

    for name in ("limit", "calibration", "epochs"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name}: expected 1 or more, got {value}")
    source = source_of(args.source)
    given: dict[str, Any] = read_spec(args.spec) if args.spec else {}
    document = describe(
        given,
        name=args.name or args.out.name,
        data=args.data,
        labels=read_labels(args.labels) if args.labels else (),
        size=_size(args.size) or (None if _says_size(given) else seen_size(source)),
        colour=args.colour,
        kind=args.kind,
        raw=raw_type(source),
    )
    read_promise(document, args.out)
    task, labels = document["task"], document["labels"]
    data = open_dataset(args.data, task, labels, names=args.names)
    training = (
        open_dataset(args.train, task, labels, names=args.train_names) if args.train else None
    )
    threshold = args.threshold
    if threshold is None:
        threshold = given.get("score_threshold") or THRESHOLD.get(task, 0.5)
    report = convert(
        source,
        args.out,
        document,
        data.some(args.limit) if args.limit else data,
        Options(
            quantise=args.quantize,
            max_loss=args.max_loss,
            allow_loss=args.allow_loss,
            calibration=args.calibration,
            cloud=args.cloud,
            threshold=threshold,
            tuning=Tuning(epochs=args.epochs, rate=args.rate),
            replace=args.replace,
            layout=args.layout or "",
            scores=args.scores or "",
        ),
        calibration=read_tensors(args.tensors, input_of(document)) if args.tensors else None,
        training=training,
        progress=Bar(),
    )
    print(table(report))
    print(f"\n{args.out}: bundle, with report/report.json")
    if args.cloud_int8:
        options = Int8Options(max_loss=args.max_loss, allow_loss=args.allow_loss)
        bundle = load_bundle(str(args.out.absolute()))
        counted = data.some(args.limit) if args.limit else data
        told = add_int8(bundle, args.out, counted, options, training=training, progress=Bar())
        print(f"\n{int8_table(told)}\n\n{args.out}: has the part cloud_int8")
    return 0


def _says_size(given: Mapping[str, Any]) -> bool:
    feed = given.get("input")
    return isinstance(feed, dict) and "width_px" in feed


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found:
        raise ConfigError(f"--size: expected WIDTHxHEIGHT in px, got {text!r}")
    return int(found[1]), int(found[2])
