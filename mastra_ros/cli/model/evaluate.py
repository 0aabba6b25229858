"""`mastra model evaluate`: accuracy of local, cloud, split and joint inference on labelled data."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ConfigError
from ...figures import prepare

if TYPE_CHECKING:
    from ...inference import Bundle
    from ...model.dataset import Dataset

from .. import coding
from ..output import check_output, write_json

HELP = """\
Accuracy of each way of answering on labelled pictures (local, cloud, and split where the bundle
is), and of joint inference: the device answers, and the cloud is asked again where the device's
confidence is below a threshold.
With --codec instead: what coding costs, accuracy against bytes for each codec and quality, and the
lowest quality that loses at most so many points, which --write enters into the bundle and
compression.quality 0 uses.
DATA: for detectors a folder with images/ and labels/*.txt (x1 y1 x2 y2 class in px, or YOLO's
class cx cy w h) or COCO's annotations.json; for classifiers one with a folder for each label."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("bundle", metavar="BUNDLE", help="folder, or name of an installed bundle")
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled pictures")
    parser.add_argument("--names", type=Path, metavar="FILE", help="take only pictures named there")
    parser.add_argument("--limit", type=int, metavar="N", help="take N pictures at random")
    parser.add_argument("--threads", type=int, default=1, help="of each runtime; default: 1")
    parser.add_argument(
        "--measure",
        choices=("threshold", "margin", "entropy"),
        default="threshold",
        help="measure of confidence, as scheduling.escalate_measure; default: threshold",
    )
    parser.add_argument(
        "--reach", type=float, metavar="ACCURACY", help="find the threshold that reaches this"
    )
    parser.add_argument(
        "--views-max",
        type=int,
        choices=(1, 2),
        default=2,
        help="most views of a frame, as gateway.views_max; default: 2",
    )
    parser.add_argument(
        "--fit-threshold",
        action="store_true",
        help="find the score threshold of each part for each number of views, and nothing else",
    )
    coding.add_arguments(parser)
    parser.add_argument(
        "--write",
        action="store_true",
        help="enter the fitted thresholds, or the qualities found, into bundle.yaml",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the joint curve there")


def run(args: argparse.Namespace) -> int:
    """Measure and print a table."""
    from ...inference import load_bundle
    from ...model.dataset import open_dataset
    from ...model.judge.evaluate import evaluate, least_sent, ways_of
    from ...model.progress import Bar

    check_output(args.json, "--json")
    if args.write and not (args.fit_threshold or args.codec):
        raise ConfigError("--write: goes with --fit-threshold or --codec")
    if args.codec and args.fit_threshold:
        raise ConfigError("--codec, --fit-threshold: expected one of them")
    if not args.codec and (args.qualities or args.lose is not None):
        raise ConfigError("--qualities, --lose: go with --codec")
    prepare(args.plot)
    bundle = load_bundle(args.bundle)
    if args.codec:
        return coding.evaluate_coding(args, bundle)
    dataset = open_dataset(args.data, bundle.task, bundle.labels, names=args.names)
    dataset = dataset.some(args.limit) if args.limit else dataset
    if args.fit_threshold:
        return _fit(args, bundle, dataset)
    if args.views_max == 1:
        bundle = bundle.in_one_view()
    ways = ways_of(bundle, threads=args.threads, low=True)
    done = evaluate(bundle, dataset, ways, measure=args.measure, progress=Bar())
    counted = f"{len(dataset)} pictures"
    if bundle.task == "detection":
        counted += f", {dataset.boxes} boxes"
    if dataset.ignored:
        counted += f", {dataset.ignored} regions in which nothing counts"
    print(f"{counted}; accuracy: {done.to_json()['measure_of_accuracy']}")
    print(f"{'way':8} accuracy precision  recall   mAP50  bytes up  p50 ms  p99 ms")
    for name, one in done.scores.items():
        mean = "-" if one.map50 is None else f"{one.map50:.4f}"
        print(
            f"{name:8} {one.accuracy:8.4f} {one.precision:9.4f} {one.recall:7.4f} {mean:>7} "
            f"{one.bytes_up_mean:9.0f} {one.p50_ms:7.2f} {one.p99_ms:7.2f}"
        )
    if done.agreement is not None:
        print(f"local and cloud agree in {done.agreement:.4f}")
        print("joint: threshold  share up  bytes a frame  accuracy")
        for share in (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0):
            point = min(done.curve, key=lambda p: abs(p.share_up - share))
            print(
                f"       {point.threshold:9.4f} {point.share_up:9.3f} {point.bytes_mean:14.0f} "
                f"{point.accuracy:9.4f}"
            )
    document = done.to_json()
    status = 0
    if args.reach is not None:
        reached = least_sent(done.curve, args.reach)
        if reached is None:
            print(f"no threshold reaches an accuracy of {args.reach}")
            status = 1
        else:
            print(
                f"accuracy {args.reach} is reached with scheduling.escalate_below="
                f"{reached.threshold:.4f}: {reached.share_up:.1%} of the frames go up"
            )
            document["reach"] = {"accuracy": args.reach, "threshold": reached.threshold}
    if args.json:
        write_json(args.json, document)
    if args.plot:
        from ...model.judge.plots import joint

        joint(done, args.plot)
    return status


def _fit(args: argparse.Namespace, bundle: Bundle, dataset: Dataset) -> int:
    """Fit thresholds, print them, and write them where asked."""
    from ...model.judge.thresholds import entered, fit_thresholds
    from ...model.progress import Bar
    from ...model.verify import read_document
    from ...model.writer import rewrite

    fitted = fit_thresholds(bundle, dataset, threads=args.threads, progress=Bar())
    print(f"{len(dataset)} pictures, {dataset.boxes} boxes; F-score, IoU > 0.33")
    print("part       views  threshold       F   now  F now")
    for one in fitted:
        print(
            f"{one.part:10} {one.views:5} {one.threshold:10.2f} {one.f_score:7.4f} "
            f"{one.now:5.2f} {one.f_score_now:6.4f}"
        )
    if args.json:
        told = {"data": str(dataset.root), "pictures": len(dataset), "boxes": dataset.boxes}
        told |= {"notes": list(dataset.notes), "thresholds": [asdict(one) for one in fitted]}
        write_json(args.json, told)
    if args.write:
        written = rewrite(bundle, entered(read_document(bundle.path.parent), fitted))
        print(f"written: {written.path}")
        used = [one for one in fitted if one.views == bundle.part(one.part).views]
        if any(one.threshold != one.now for one in used):
            print("its measurements still stand at the thresholds before")
    return 0
