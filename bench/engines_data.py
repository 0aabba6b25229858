"""The networks that bench.engines times, in all the forms that this machine can run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mastra_ros.inference import Bundle, Detector, Engine, load_bundle
from mastra_ros.inference.choosing.pictures import drawn_frames
from mastra_ros.inference.contract import agree
from mastra_ros.inference.engines.litert import LiteRTEngine
from mastra_ros.inference.engines.onnx import OnnxEngine
from mastra_ros.inference.engines.openvino import OpenVinoEngine
from mastra_ros.inference.feeder import Feeder
from mastra_ros.model.dataset import open_dataset
from mastra_ros.model.judge.score import accuracy

ROOT = Path(__file__).resolve().parents[1]
GATEWAY, DEVICE = "gateway", "device"
THRESHOLD = 0.48
"""Of the board networks with one view."""
MODELS = {
    "mobilenet_v2_uint8": "mobilenet_v2_1.0_224_quant.tflite",
    "mobilenet_v2_ptq": "tf2_mobilenet_v2_1.0_224_ptq.tflite",
    "yolox_nano_int8": "yolox_nano_int8_quantize.tflite",
}

Opener = Callable[[int], Engine]


@dataclass(frozen=True)
class Network:
    """One network by the forms in which it can run: a file on an engine with a precision."""

    name: str
    forms: dict[str, Opener]
    bundle: Bundle | None = None
    parts: dict[str, str] = field(default_factory=dict)  # of forms
    default_forms: tuple[str, ...] = ()  # those that a user gets by naming an engine
    batches: bool = False  # takes several frames in one run

    def open(self, threads: int) -> dict[str, Engine]:
        """Every form that opens here."""
        return {name: make(threads) for name, make in self.forms.items()}

    def form_of(self, part: str, engine: str) -> str:
        """The form that a part has on an engine by default."""
        for form in self.default_forms:
            if self.parts[form] == part and form.split(",")[0].endswith(engine):
                return form
        raise KeyError(f"{engine} on {part}")

    def tensor(self, engine: Engine, batch: int) -> NDArray[Any]:
        """What an engine is fed: drawn boards, or noise where there is no bundle."""
        spec = engine.inputs[0]
        size = spec.shape[0] or batch
        if self.bundle is not None:
            frames = drawn_frames(self.bundle.input)
            part = next(iter(self.parts.values()))
            feed = agree(self.bundle, self.bundle.part(part), engine).feed
            picked = [frames[2 * (i % 4)] for i in range(size)]
            return Feeder(self.bundle.input, feed).batch(picked, size)[0]
        rng = np.random.default_rng(7)
        shape = [size, *(side or 1 for side in spec.shape[1:])]
        return rng.integers(0, 128, shape).astype(spec.dtype)


def networks(data: Path | None) -> dict[str, Network]:
    """The board networks, and those of the data that are there."""
    bundle = load_bundle(str(ROOT / "models/board_defects")).in_one_view()
    cloud, small = bundle.part("cloud").path, bundle.part("cloud_int8").path
    local = bundle.part("local").path
    ort, vino = "onnxruntime", "openvino"
    found = {
        GATEWAY: Network(
            GATEWAY,
            {
                f"float32 {ort}": lambda n: OnnxEngine(cloud, threads=n),
                f"float32 {vino}, own precision": lambda n: OpenVinoEngine(cloud, threads=n),
                f"float32 {vino}, f32": lambda n: OpenVinoEngine(cloud, threads=n, precision="f32"),
                f"int8 {ort}": lambda n: OnnxEngine(small, threads=n),
                f"int8 {vino}": lambda n: OpenVinoEngine(small, threads=n),
            },
            bundle,
            {
                f"float32 {ort}": "cloud",
                f"float32 {vino}, own precision": "cloud",
                f"float32 {vino}, f32": "cloud",
                f"int8 {ort}": "cloud_int8",
                f"int8 {vino}": "cloud_int8",
            },
            (f"float32 {ort}", f"float32 {vino}, own precision", f"int8 {ort}", f"int8 {vino}"),
            True,
        ),
        DEVICE: Network(
            DEVICE,
            _tflite(local),
            bundle,
            dict.fromkeys(_tflite(local), "local"),
            ("litert", vino),
        ),
    }
    for name, file in MODELS.items():
        path = data / "models" / file if data is not None else Path()
        if path.is_file():
            found[name] = Network(name, _tflite(path))
    return found


def _tflite(path: Path) -> dict[str, Opener]:
    return {
        "litert": lambda n: LiteRTEngine(path, threads=n),
        "openvino": lambda n: OpenVinoEngine(path, threads=n),
        "openvino, bf16": lambda n: OpenVinoEngine(path, threads=n, precision="bf16"),
    }


def accuracies(network: Network, data: Path) -> dict[str, float]:
    """F of each form on DeepPCB's val.txt, one view at THRESHOLD."""
    bundle = network.bundle
    assert bundle is not None
    folder = data / "deeppcb"
    pictures = open_dataset(folder, "detection", bundle.labels, names=folder / "val.txt")
    frames = [pictures.frame(i) for i in range(len(pictures))]
    found = {}
    for form, engine in network.open(1).items():
        part = replace(bundle.part(network.parts[form]), score_threshold=THRESHOLD)
        detector = Detector(bundle, part, engine)
        answers = [detector.detect(frame) for frame in frames]
        detector.close()
        found[form] = round(accuracy(answers, pictures.samples), 4)
    return found


def pack(data: Path, folder: Path) -> None:
    """Copy what bench.engines needs of the data: the pictures of val.txt, and the models."""
    source, target = data / "deeppcb", folder / "deeppcb"
    for name in ("images", "labels"):
        (target / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "val.txt", target)
    for name in (source / "val.txt").read_text().split():
        for part in ("images", "labels"):
            for path in (source / part).glob(f"{name}.*"):
                shutil.copy(path, target / part)
    (folder / "models").mkdir(exist_ok=True)
    for file in MODELS.values():
        shutil.copy(data / "models" / file, folder / "models")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 1e6:.1f} MB")
