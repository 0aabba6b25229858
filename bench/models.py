"""Makes bundles of real networks with `mastra model convert` and measures what int8 costs.

    python -m bench.models [--only NAME …] [--keep DIR] [--crops DIR --crops-weights FILE]
                           [--board-checkpoint FILE] [--out bench/results/models.json]

MASTRA_DATA names the data. There are no labelled pictures of ImageNet or COCO in them, so the
networks trained on those are held against their own float32 answers: their "accuracy" is how far
int8 says the same, on crops of photographs and frames of videos.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mastra_ros.inference import Detector, load_bundle
from mastra_ros.model.convert import Options, convert
from mastra_ros.model.dataset import Dataset, Sample, open_dataset, read_picture
from mastra_ros.model.description import describe, read_spec
from mastra_ros.model.progress import Bar
from mastra_ros.model.qat import Tuning
from mastra_ros.model.source import source_of
from mastra_ros.types import Frame, FrameKey

ROOT = Path(__file__).resolve().parents[1]
PICTURES = 300
YOLOX = {
    "task": "detection",
    "input": {
        "width_px": 416,
        "height_px": 416,
        "colour": "bgr",
        "resize": "letterbox",
        "pad_value": 114,
        "mean": [0.0] * 3,
        "std": [1.0] * 3,
    },
    "output": {"kind": "yolox", "nms_iou": 0.45, "nms": "per_class", "strides_px": [8, 16, 32]},
}
EFFICIENTNET = {
    "task": "classification",
    "input": {"width_px": 224, "height_px": 224, "colour": "rgb", "mean": [127.0] * 3}
    | {"std": [128.0] * 3},
}

Report = dict[str, Any]


def pictures_in(data: Path, folder: Path, size_px: int | None) -> list[Path]:
    """Frames of the videos and crops of the photographs: `size_px` square, or whole frames."""
    rng = np.random.default_rng(4)
    photographs = [read_picture(path) for path in sorted((data / "images").iterdir())]
    sources = [image for image in photographs if image is not None]
    for video in sorted((data / "videos").glob("*.mp4")):
        capture = cv2.VideoCapture(str(video))
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        for at in np.linspace(0, count - 1, 60).astype(int):
            capture.set(cv2.CAP_PROP_POS_FRAMES, float(at))
            done, image = capture.read()
            if done:
                sources.append(np.asarray(image, np.uint8))
    paths = []
    for i in range(PICTURES if size_px else len(sources)):
        image = sources[i % len(sources)]
        if size_px:
            side = int(rng.integers(size_px // 2, min(image.shape[:2]) + 1))
            y = int(rng.integers(0, image.shape[0] - side + 1))
            x = int(rng.integers(0, image.shape[1] - side + 1))
            crop = image[y : y + side, x : x + side]
            image = np.asarray(cv2.resize(crop, (size_px, size_px)), np.uint8)
        paths.append(folder / f"{i:04d}.jpg")
        cv2.imwrite(str(paths[-1]), image)
    return paths


def labelled_by_itself(bundle_folder: Path, paths: Sequence[Path]) -> Dataset:
    """The pictures with what the bundle's float32 server model says as their labels."""
    bundle = load_bundle(str(bundle_folder))
    detector = Detector.open(bundle, "cloud", threads=os.cpu_count() or 1)
    samples = []
    for i, path in enumerate(Bar()(paths, "label")):
        image = read_picture(path)
        if image is not None:
            found = detector.detect(Frame(FrameKey("label", i), image))
            boxes = found.boxes if bundle.task == "detection" else np.zeros((0, 4), np.float32)
            samples.append(Sample(path, boxes, found.classes))
    detector.close()
    root = paths[0].parent
    return Dataset(root, bundle.task, bundle.labels, tuple(samples))


def own_labels(
    source: str, spec: dict[str, Any], labels: list[str], size_px: int | None, threshold: float
) -> Callable[[Path, Path], Report]:
    """A bench of a network that is held against itself."""

    def run(data: Path, out: Path) -> Report:
        with tempfile.TemporaryDirectory() as folder:
            paths = pictures_in(data, Path(folder), size_px)
            document = describe({**spec, "labels": labels}, name=out.name, data=None)
            none = np.zeros((0, 4), np.float32)
            first = Sample(paths[0], none, np.zeros(1, np.int32))
            one = Dataset(Path(folder), document["task"], tuple(labels), (first,))
            options = Options(quantise="none", runs=1, threshold=threshold, replace=True)
            given = source.format(data=data)
            exact = Path(folder) / "exact"
            convert(source_of(given), exact, {**document}, one, options)
            truths = labelled_by_itself(exact, paths)
            options = Options(threshold=threshold, allow_loss=True, replace=True)
            return convert(source_of(given), out, {**document}, truths, options, progress=Bar())

    return run


def board(source: str, quantise: str = "ptq") -> Callable[[Path, Path], Report]:
    """A bench of a board detector, on DeepPCB."""

    def run(data: Path, out: Path) -> Report:
        spec = read_spec(ROOT / "models" / "board_defects")
        document = describe(spec, name="board_defects", data=data / "deeppcb")
        sets = [
            open_dataset(data / "deeppcb", "detection", document["labels"], names=names)
            for names in (data / "deeppcb" / "val.txt", data / "deeppcb" / "train.txt")
        ]
        threshold = float(spec["score_threshold"])
        options = Options(
            quantise=quantise, threshold=threshold, allow_loss=True, replace=True, calibration=96
        )
        return convert(
            source_of(source), out, document, sets[0], options, training=sets[1], progress=Bar()
        )

    return run


def crops(
    factory: str, weights: Path, folder: Path, quantise: str
) -> Callable[[Path, Path], Report]:
    """A bench of the microcontroller's classifier, on crops cut by train.crops."""

    def run(data: Path, out: Path) -> Report:
        del data
        feed = {"width_px": 96, "height_px": 96, "colour": "gray"}
        document = describe({"input": feed}, name=out.name, data=folder / "val")
        sets = [
            open_dataset(folder / part, "classification", document["labels"])
            for part in ("val", "train")
        ]
        options = Options(
            quantise=quantise,
            allow_loss=True,
            replace=True,
            tuning=Tuning(epochs=2, batch=64, rate=2e-4),
        )
        source = source_of(f"train.mobilenet:{factory}:{weights}")
        return convert(source, out, document, sets[0], options, training=sets[1], progress=Bar())

    return run


def benches(args: argparse.Namespace, data: Path) -> dict[str, Callable[[Path, Path], Report]]:
    """All that can be run with what was given."""
    coco = (data / "models" / "coco_labels.txt").read_text().splitlines()
    names = [line for line in coco if line != "n/a"]  # the list keeps places that COCO dropped
    found = {
        "efficientnet_lite0": own_labels(
            "bench.networks:efficientnet_lite0",
            EFFICIENTNET,
            [f"class {i}" for i in range(1000)],
            224,
            0.0,
        ),
        "yolox_nano": own_labels("{data}/models/yolox_nano.onnx", YOLOX, names, None, 0.3),
        "board_gateway": board(str(ROOT / "models" / "board_defects" / "cloud.onnx")),
    }
    if args.board_checkpoint:
        found["board_device"] = board(f"bench.networks:board_detector:{args.board_checkpoint}")
    if args.crops and args.crops_weights:
        found["crops"] = crops("defect_crops", args.crops_weights, args.crops, "ptq")
    if args.crops and args.silu_weights:
        for how in ("ptq", "qat"):
            silu = crops("defect_crops_silu", args.silu_weights, args.crops, how)
            found[f"crops_silu_{how}"] = silu
    return found


def main() -> None:
    """Read the command line, convert, print and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--keep", type=Path, help="keep the bundles in this folder")
    parser.add_argument("--crops", type=Path, help="folder of python -m train.crops cut")
    parser.add_argument("--crops-weights", type=Path, help="of python -m train.crops fit")
    parser.add_argument("--silu-weights", type=Path, help="of the same with --activation silu")
    parser.add_argument("--board-checkpoint", type=Path, help="best.pt of train.fit")
    parser.add_argument("--out", type=Path, default=ROOT / "bench/results/models.json")
    args = parser.parse_args()
    data = Path(os.environ["MASTRA_DATA"])
    document: Report = {"models": {}}
    if args.out.is_file():
        document = json.loads(args.out.read_text())
    document["machine"] = {"cpus": os.cpu_count(), "python": platform.python_version()}
    with tempfile.TemporaryDirectory() as folder:
        for name, run in benches(args, data).items():
            if args.only and name not in args.only:
                continue
            report = run(data, (args.keep or Path(folder)) / name)
            report["layers"], report["cuts"] = report["layers"][:5], len(report["cuts"])
            report.pop("source")
            document["models"][name] = report
            print(f"{name}: {json.dumps(report)}", flush=True)
            args.out.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
