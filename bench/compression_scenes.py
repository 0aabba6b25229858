"""The scenes of `bench.compression`, and what a detector sees in them.

The cars, every second frame of the bottles, the crossing, and the synthetic line; YOLOX-nano on the
videos and the gateway's own detector on the line look at every `step`th frame. F: the agreement of
their boxes with those on the raw frames (score > 0.25, IoU >= 0.5). On the videos each frame is
looked at as it is and mirrored: a thing that is just seen, or not, for a hundred frames is chance,
and the mirrored picture is a second throw of the same dice. What was found on raw frames is kept
in a folder, by what made it.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from bench import compression_codecs
from bench.compression_codecs import Setting
from bench.ultrasound_frames import sweep
from mastra_ros.camera import open_source
from mastra_ros.config import CameraConfig
from mastra_ros.inference import Detector, load_bundle
from mastra_ros.model.judge.score import agreement
from mastra_ros.types import Detections, Frame, FrameKey

Picture = NDArray[np.uint8]

BUNDLE = Path(__file__).resolve().parents[1] / "models/board_defects"
SCORE_MIN = 0.25
Row = dict[str, Any]
KEPT = Path(tempfile.gettempdir()) / "mastra-bench-compression"


@dataclass(frozen=True)
class Scene:
    """name: in tables. step: every so many frames are looked at. less: points of F below JPEG's at
    which codecs are compared; 0 for one without a detector."""

    name: str
    source: str
    step: int
    less: float
    every: int = 1  # frames of the source that are taken
    frames: int = 0  # at most; 0: all
    detector: str = "yolox"

    @property
    def mirrored(self) -> bool:
        """Whether its frames are looked at mirrored as well."""
        return self.detector == "yolox"


SCENES = (
    Scene("cars", "car-detection.mp4", 2, 0.03),
    Scene("bottles", "bottle-detection.mp4", 4, 0.01, every=2),
    Scene("line", "synthetic:pcb?seed=5&width=640&height=640", 2, 0.01, frames=120, detector="own"),
    Scene("crossing", "crossing.mp4", 4, 0.03),
    Scene("ultrasound", "sweep", 1, 0.0, detector=""),
)


def frames_of(scene: Scene, data: Path) -> list[Picture]:
    """Its pictures: BGR, or gray for ultrasound."""
    if scene.source == "sweep":
        return list(sweep(data))
    if scene.source.startswith("synthetic:"):
        source = open_source(CameraConfig(source=scene.source))
        frames = [np.asarray(source.read(timeout_s=5.0).image) for _ in range(scene.frames)]
        source.close()
        return frames
    capture = cv2.VideoCapture(str(data / "videos" / scene.source))
    frames = []
    while True:
        done, image = capture.read()
        if not done:
            return frames[:: scene.every]
        frames.append(np.asarray(image, np.uint8))


class Judge:
    """What a scene's detector makes of decoded frames, beside the raw ones."""

    def __init__(self, scene: Scene, frames: Sequence[Picture], data: Path) -> None:
        self._scene = scene
        self._detector: Detector | None = None
        if scene.detector == "own":
            self._detector = Detector.open(load_bundle(str(BUNDLE)), "cloud")
        elif scene.detector:
            self._detector = Detector.open(_yolox(data), "cloud", score_threshold=SCORE_MIN)
        self._raw = self._kept(frames)

    def wants(self, number: int) -> bool:
        """Whether this frame is looked at."""
        return number % self._scene.step == 0

    def looks(self, image: Picture) -> list[Detections]:
        """Of one frame, and of it mirrored where the scene is judged so too."""
        found = [self._detect(image)]
        if self._scene.mirrored:
            found.append(self._detect(np.asarray(cv2.flip(image, 1), np.uint8)))
        return found

    def _detect(self, image: Picture) -> Detections:
        """Nothing where the scene has no detector."""
        if self._detector is None:
            return Detections.empty()
        frame = Frame(FrameKey("main", 1), np.ascontiguousarray(image), "bgr8")
        return self._detector.detect(frame)

    def f_score(self, found: Sequence[Detections]) -> float:
        """Agreement with the raw frames' boxes."""
        return agreement(found, self._raw) if self._detector is not None else float("nan")

    def _kept(self, frames: Sequence[Picture]) -> list[Detections]:
        seen = frames[:: self._scene.step]
        way = "mirrored-" if self._scene.mirrored else ""
        path = KEPT / f"{self._scene.name}-{way}{_digest(self._scene, frames)}.json"
        if path.exists():
            return [_read(entry) for entry in json.loads(path.read_text())]
        found = [one for image in seen for one in self.looks(image)]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([_told(one) for one in found]))
        return found


def kept(
    scene: Scene, frames: Sequence[Picture], setting: Setting, measured: Callable[[], Row]
) -> Row:
    """A point that was measured before, by the same code on the same pictures, or now."""
    code = Path(compression_codecs.__file__).read_bytes() + Path(__file__).read_bytes()
    made_by = f"{setting.curve} {setting.quality} {av.__version__} {cv2.__version__}"
    made_by += hashlib.sha256(code).hexdigest()
    name = hashlib.sha256(made_by.encode()).hexdigest()[:16]
    path = KEPT / f"{scene.name}-{_digest(scene, frames)}-{name}.json"
    if path.exists():
        row: Row = json.loads(path.read_text())
        return row
    row = measured()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row))
    return row


def _digest(scene: Scene, frames: Sequence[Picture]) -> str:
    digest = hashlib.sha256(repr(scene).encode())
    for image in frames[:: scene.step][::10]:
        digest.update(image.tobytes())
    return digest.hexdigest()[:16]


def _told(found: Detections) -> list[Any]:
    values = (found.boxes, found.scores, found.classes)
    return [*(value.tolist() for value in values), list(found.labels)]


def _read(entry: list[Any]) -> Detections:
    boxes, scores, classes, labels = entry
    return Detections(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(scores, np.float32),
        np.asarray(classes, np.int32),
        tuple(labels),
    )


def _yolox(data: Path) -> Any:
    """YOLOX-nano of the data folder as a bundle."""
    folder = KEPT / "yolox"
    folder.mkdir(parents=True, exist_ok=True)
    network = (data / "models/yolox_nano.onnx").read_bytes()
    if not (folder / "cloud.onnx").exists():  # others may be reading it
        (folder / "cloud.onnx.part").write_bytes(network)
        (folder / "cloud.onnx.part").rename(folder / "cloud.onnx")
    lines = (data / "models/coco_labels.txt").read_text().splitlines()
    labels = json.dumps([line for line in lines if line != "n/a"][:80])
    (folder / "bundle.yaml").write_text(
        "format: 2\nname: yolox\nversion: 1.0.0\ntask: detection\n"
        f"labels: {labels}\n"
        "input: {width_px: 416, height_px: 416, colour: bgr, resize: letterbox, pad_value: 114,"
        " mean: [0.0, 0.0, 0.0], std: [1.0, 1.0, 1.0]}\n"
        "output: {kind: yolox, strides_px: [8, 16, 32], nms_iou: 0.45}\n"
        "parts:\n  cloud: {file: cloud.onnx, engine: onnxruntime, model: yolox, version: 1.0.0,"
        f" sha256: {hashlib.sha256(network).hexdigest()}, score_threshold: {SCORE_MIN}}}\n"
    )
    return load_bundle(str(folder))
