"""Makes bundles of real networks with `mastra model convert` and measures what int8 costs.

    python -m bench.models [--only NAME …|shipped] [--keep DIR] [--crops DIR --crops-weights FILE]
                           [--v4-weights FILE] [--edgetpu-weights FILE]
                           [--board-checkpoint FILE] [--out FILE]

MASTRA_DATA names the data. There are no labelled pictures of ImageNet or COCO in them, so the
networks trained on those are held against their own float32 answers: their "accuracy" is how far
int8 says the same, on crops of photographs and frames of videos. They are calibrated and tuned on
other photographs and on an earlier part of the videos. python -m bench.models_table writes the
table in docs/models.md. `--only shipped` measures nothing and takes over what the bundle that ships
says of itself, as every run does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.bars import judged
from bench.pictures import pictures_in, sources_of
from mastra_ros.inference import Bundle, Detector, load_bundle
from mastra_ros.model.convert.convert import Options, convert
from mastra_ros.model.convert.qat import Tuning
from mastra_ros.model.convert.source import source_of
from mastra_ros.model.dataset import Dataset, Sample, open_dataset
from mastra_ros.model.description import describe, read_spec
from mastra_ros.model.judge.score import accuracy
from mastra_ros.model.labels.pictures import read_picture
from mastra_ros.model.progress import Bar
from mastra_ros.types import Frame, FrameKey

ROOT = Path(__file__).resolve().parents[1]
SURE = 0.5
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


def labelled_by_itself(bundle: Bundle, paths: Sequence[Path]) -> tuple[Dataset, list[bool]]:
    """The pictures with what the bundle's float32 server model says, and where it is sure of it."""
    detector = Detector.open(bundle, "cloud", threads=os.cpu_count() or 1)
    samples, sure = [], []
    for i, path in enumerate(Bar()(paths, "label")):
        image = read_picture(path)
        if image is not None:
            found = detector.detect(Frame(FrameKey("label", i), image))
            boxes = found.boxes if bundle.task == "detection" else np.zeros((0, 4), np.float32)
            samples.append(Sample(path, boxes, found.classes))
            sure.append(len(found) > 0 and float(found.scores.max()) >= SURE)
    detector.close()
    return Dataset(paths[0].parent, bundle.task, bundle.labels, tuple(samples)), sure


def own_labels(
    source: str,
    spec: dict[str, Any],
    labels: list[str],
    size_px: int | None,
    threshold: float,
    quantise: str = "ptq",
) -> Callable[[Path, Path], Report]:
    """A bench of a network that is held against itself."""

    def run(data: Path, out: Path) -> Report:
        with tempfile.TemporaryDirectory() as folder:
            sources = sources_of(data)
            paths = {
                part: pictures_in(sources[part], Path(folder) / part, size_px, seed)
                for seed, part in enumerate(("train", "val"), 4)
            }
            document = describe({**spec, "labels": labels}, name=out.name, data=None)
            none = np.zeros((0, 4), np.float32)
            first = Sample(paths["val"][0], none, np.zeros(1, np.int32))
            one = Dataset(Path(folder), document["task"], tuple(labels), (first,))
            options = Options(quantise="none", runs=1, threshold=threshold, replace=True)
            given = source.format(data=data)
            exact = Path(folder) / "exact"
            convert(source_of(given), exact, {**document}, one, options)
            training, _ = labelled_by_itself(load_bundle(str(exact)), paths["train"])
            truths, sure = labelled_by_itself(load_bundle(str(exact)), paths["val"])
            options = Options(
                quantise=quantise,
                threshold=threshold,
                allow_loss=True,
                replace=True,
                tuning=Tuning(epochs=3, batch=16, rate=2e-6, label_weight=0.0),
            )
            report = convert(
                source_of(given), out, document, truths, options, training=training, progress=Bar()
            )
            report["sure"] = where_sure(load_bundle(str(out)), truths, sure)
            return report

    return run


def where_sure(bundle: Bundle, truths: Dataset, sure: Sequence[bool]) -> Report:
    """Accuracy of the device model on the pictures whose best score in float32 is SURE or more."""
    kept = tuple(one for one, is_sure in zip(truths.samples, sure, strict=True) if is_sure)
    chosen = replace(truths, samples=kept)
    detector = Detector.open(bundle, "local")
    found = [detector.detect(chosen.frame(i)) for i in range(len(chosen))]
    detector.close()
    share = round(accuracy(found, kept), 4) if kept else None
    return {"least_score": SURE, "pictures": len(kept), "accuracy_int8": share}


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
    factory: str, weights: Path, folder: Path, quantise: str, side_px: int = 96
) -> Callable[[Path, Path], Report]:
    """A bench of a classifier of defects, on crops cut by train.crops."""

    def run(data: Path, out: Path) -> Report:
        del data
        feed = {"width_px": side_px, "height_px": side_px, "colour": "gray"}
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
        source = source_of(f"{factory}:{weights}")
        return convert(source, out, document, sets[0], options, training=sets[1], progress=Bar())

    return run


def benches(args: argparse.Namespace, data: Path) -> dict[str, Callable[[Path, Path], Report]]:
    """All that can be run with what was given."""
    coco = (data / "models" / "coco_labels.txt").read_text().splitlines()
    names = [line for line in coco if line != "n/a"]  # the list keeps places that COCO dropped
    classes = [f"class {i}" for i in range(1000)]
    lite0 = ("bench.networks:efficientnet_lite0", EFFICIENTNET, classes, 224, 0.0)
    found = {
        "efficientnet_lite0": own_labels(*lite0),
        "efficientnet_lite0_qat": own_labels(*lite0, "qat"),
        "yolox_nano": own_labels("{data}/models/yolox_nano.onnx", YOLOX, names, None, 0.3),
        "board_gateway": board(str(ROOT / "models" / "board_defects" / "cloud.onnx")),
    }
    if args.board_checkpoint:
        found["board_device"] = board(f"bench.networks:board_detector:{args.board_checkpoint}")
    if args.crops and args.crops_weights:
        found["crops"] = crops(
            "train.mobilenet:defect_crops", args.crops_weights, args.crops, "ptq"
        )
    if args.crops and args.silu_weights:
        for how in ("ptq", "qat"):
            silu = crops("train.mobilenet:defect_crops_silu", args.silu_weights, args.crops, how)
            found[f"crops_silu_{how}"] = silu
    for name, factory, weights in (
        ("mobilenet_v2_full", "train.mobilenet:defect_crops_full", args.full_weights),
        ("mobilenet_v4", "train.mobilenet_v4:defect_crops_v4", args.v4_weights),
        (
            "mobilenet_edgetpu",
            "train.mobilenet_edgetpu:defect_crops_edgetpu",
            args.edgetpu_weights,
        ),
    ):
        if args.crops and weights:
            found[name] = crops(factory, weights, args.crops, "ptq", 224)
    return found


def machine() -> Report:
    """What the speeds depend on; `int8` are the instructions that multiply bytes, if any."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    about = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)
    }
    flags = set(about.get("flags", about.get("Features", "")).split())
    int8 = flags & {"avx512_vnni", "avx_vnni", "asimddp", "i8mm", "amx_int8"}
    return {
        "cpus": os.cpu_count(),
        "cpu": about.get("model name", platform.machine()),
        "int8": sorted(int8),
        "vectors": next((f for f in ("avx512f", "avx2", "asimd") if f in flags), ""),
        "python": platform.python_version(),
    }


def shipped() -> Report:
    """What the bundle that ships says of its own parts; see its card."""
    parts = load_bundle(str(ROOT / "models" / "board_defects")).parts
    return {name: dict(part.measurements) for name, part in parts.items()}


def write(path: Path, document: Report) -> None:
    """Write the numbers, with those of the bundle that ships, and what of the bars is reached."""
    told = judged("models", {**document, "shipped": shipped()})
    path.write_text(json.dumps(told, indent=2) + "\n")


def main() -> None:
    """Read the command line, convert, print and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--keep", type=Path, help="keep the bundles in this folder")
    parser.add_argument("--crops", type=Path, help="folder of python -m train.crops cut")
    parser.add_argument("--crops-weights", type=Path, help="of python -m train.crops fit")
    parser.add_argument("--silu-weights", type=Path, help="of the same with --activation silu")
    parser.add_argument("--full-weights", type=Path, help="of the same with --width 1 --side 224")
    parser.add_argument("--v4-weights", type=Path, help="with --network mobilenet_v4 --side 224")
    parser.add_argument("--edgetpu-weights", type=Path, help="with --network mobilenet_edgetpu")
    parser.add_argument("--board-checkpoint", type=Path, help="best.pt of train.fit")
    parser.add_argument("--out", type=Path, default=ROOT / "bench/results/models.json")
    args = parser.parse_args()
    data = Path(os.environ["MASTRA_DATA"])
    document: Report = {"models": {}}
    if args.out.is_file():
        document = json.loads(args.out.read_text())
    document.pop("machine", None)  # each network has its own
    with tempfile.TemporaryDirectory() as folder:
        for name, run in benches(args, data).items():
            if args.only and name not in args.only:
                continue
            report = run(data, (args.keep or Path(folder)) / name)
            report["layers"], report["cuts"] = report["layers"][:5], len(report["cuts"])
            report.pop("source")
            report["machine"] = machine()
            document["models"][name] = report
            print(f"{name}: {json.dumps(report)}", flush=True)
            write(args.out, document)
    write(args.out, document)


if __name__ == "__main__":
    main()
