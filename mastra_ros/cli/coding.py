"""Measures what coding costs, for `mastra model evaluate --codec`: table, plot, and the bundle."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ConfigError, DataError
from ..types import Frame, FrameKey
from .output import write_json

if TYPE_CHECKING:
    from ..inference import Bundle
    from ..model.judge.coding import Coding, Pictures, Rate

VIDEO_SUFFIXES = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".ts")


class Video:
    """The frames of a file, decoded anew each time that they are asked for."""

    def __init__(self, path: Path, limit: int | None) -> None:
        """Raises DataError where there are none."""
        self._path = path
        self._count = 0
        for _ in self._images(limit):
            self._count += 1
        if not self._count:
            raise DataError(f"{path}: no frame of it can be decoded")

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Frame]:
        for number, image in enumerate(self._images(self._count)):
            yield Frame(FrameKey(self._path.name, number), image, "bgr8")

    def _images(self, limit: int | None) -> Iterator[np.ndarray]:
        import cv2

        capture = cv2.VideoCapture(str(self._path))
        try:
            number = 0
            while limit is None or number < limit:
                there, image = capture.read()
                if not there:
                    return
                number += 1
                yield np.asarray(image, np.uint8)
        finally:
            capture.release()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--codec",
        metavar="NAMES",
        help="accuracy against bytes of these codecs, with commas, or all; DATA may be a video "
        "then, without labels: agreement with the answers to its raw frames",
    )
    parser.add_argument(
        "--qualities", metavar="NUMBERS", help="with --codec: 1 to 100, with commas"
    )
    parser.add_argument(
        "--lose",
        type=float,
        metavar="POINTS",
        help="with --codec: hundredths of accuracy that the quality chosen may lose; default: 1",
    )


def evaluate_coding(args: argparse.Namespace, bundle: Bundle) -> int:
    """Measure, print, draw, and write into the bundle where asked."""
    from ..inference import Detector
    from ..model.judge.coding import LOSE_POINTS, QUALITIES, code, entered, wanted_codecs
    from ..model.progress import Bar
    from ..model.verify import read_document
    from ..model.writer import rewrite

    codecs = wanted_codecs(args.codec)
    qualities = _qualities(args.qualities) if args.qualities else QUALITIES
    lose_points = LOSE_POINTS if args.lose is None else args.lose
    if not 0.0 <= lose_points <= 100.0:
        raise ConfigError(f"--lose: expected 0 to 100 points, got {lose_points:g}")
    pictures, rate, measure = _pictures(args, bundle)
    part = "cloud" if "cloud" in bundle.parts else "local"
    if args.views_max == 1:
        bundle = bundle.in_one_view()
    detector = Detector.open(bundle, part, threads=args.threads)
    try:
        done = code(
            pictures, detector.detect, rate, codecs, qualities, measure=measure, progress=Bar()
        )
    finally:
        detector.close()
    _print(done, part, lose_points)
    lowest = done.lowest(lose_points)
    if args.json:
        told: dict[str, object] = {"bundle": bundle.name, "part": part, "data": str(args.data)}
        told |= {**done.to_json(), "lose_points": lose_points}
        told["lowest"] = {codec: asdict(point) for codec, point in lowest.items()}
        write_json(args.json, told)
    if args.plot:
        from ..model.judge.plots import coding

        coding(done, bundle.name, lose_points, args.plot)
    if args.write:
        document = entered(read_document(bundle.path.parent), part, done, lose_points)
        print(f"written: {rewrite(bundle, document).path}")
    return 0 if done.points else 1


def _pictures(args: argparse.Namespace, bundle: Bundle) -> tuple[Pictures, Rate | None, str]:
    from ..model.dataset import open_dataset
    from ..model.judge.coding import Labelled
    from ..model.judge.score import accuracy

    if args.data.suffix.lower() in VIDEO_SUFFIXES and not args.data.is_dir():
        if not args.data.is_file():
            raise DataError(f"{args.data}: expected a video or a folder of labelled pictures")
        return Video(args.data, args.limit), None, "agreement with the raw frames' answers"
    dataset = open_dataset(args.data, bundle.task, bundle.labels, names=args.names)
    dataset = dataset.some(args.limit) if args.limit else dataset
    measure = "top-1" if bundle.task == "classification" else "F-score, IoU > 0.33"
    return Labelled(dataset), lambda found: accuracy(found, dataset.samples), measure


def _qualities(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(one) for one in text.split(",") if one.strip())
    except ValueError:
        found = ()
    if not found or not all(1 <= one <= 100 for one in found):
        raise ConfigError(f"--qualities: expected 1 to 100, with commas, got {text!r:.80}")
    return found


def _print(done: Coding, part: str, lose_points: float) -> None:
    print(f"{done.pictures} pictures; accuracy of {part}: {done.measure}")
    print(f"as they are: {done.raw_accuracy:.4f}")
    lowest = done.lowest(lose_points)
    print("codec     quality  bytes a frame  accuracy  points lost")
    for point in done.points:
        lost = 100.0 * (done.raw_accuracy - point.accuracy)
        mark = " *" if lowest.get(point.codec) == point else ""
        print(
            f"{point.codec:9} {point.quality:7} {point.bytes_mean:14.0f} {point.accuracy:9.4f} "
            f"{lost:12.2f}{mark}"
        )
    for fault in done.faults:
        print(f"left out: {fault}")
    if lowest:
        print(f"* the lowest quality that loses at most {lose_points:g} points")
        least = min(lowest.values(), key=lambda point: point.bytes_mean)
        print(f"fewest bytes: {least.codec} at quality {least.quality}")
    else:
        print(f"none loses as little as {lose_points:g} points")
