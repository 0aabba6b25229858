"""What each way of answering is worth on labelled pictures: local, cloud, and both together.

Joint inference answers on the device and asks the cloud again where the device's confidence is
below a threshold. Its curve is worked out from one run of both models: for each threshold the
share of frames sent up, their bytes, and the accuracy of what comes out.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from ...compression import FeatureEncoder, decode_features
from ...compression.stills import encode_still
from ...inference import Bundle, Detector, Head, Tail
from ...privacy import hiding_nothing
from ...scheduling.arbiter.confidence import confidence
from ...types import Detections, Frame
from ..dataset import Dataset
from ..progress import Progress, silent
from .score import agreement, counts_of, mean_average_precision

POINTS_MAX = 101
"""Thresholds tried at most; between them the curve changes by a picture in a hundred or less."""

LOW_SCORE = 0.01
"""Detections are kept down to here for the mean average precision."""


@dataclass(frozen=True)
class Answer:
    """One frame's answer, what it took, and the bytes that went up for it."""

    detections: Detections
    spent_ms: float
    bytes_up: int = 0


class Way(Protocol):
    """A way to answer a frame: a model here, one on the server, or half and half."""

    def __call__(self, frame: Frame) -> Answer: ...


@dataclass(frozen=True)
class Score:
    """What one way is worth on a dataset. Accuracy: top-1, or the F-score of boxes."""

    way: str
    pictures: int
    accuracy: float
    precision: float
    recall: float
    map50: float | None  # of detectors
    bytes_up_mean: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class JointPoint:
    """One threshold of joint inference: results of less confidence are asked again above."""

    threshold: float
    share_up: float  # of frames, 0 to 1
    bytes_mean: float  # per frame, over all frames
    accuracy: float


class WholeModel:
    """One part of a bundle on whole frames; those for the cloud are paid for as stills."""

    def __init__(
        self, detector: Detector, *, sent: bool, codec: str = "jpeg", quality: int = 85
    ) -> None:
        self._detector = detector
        self._sent = sent
        self._codec, self._quality = codec, quality

    def __call__(self, frame: Frame) -> Answer:
        started = time.perf_counter()
        found = self._detector.detect(frame)
        spent_ms = (time.perf_counter() - started) * 1e3
        size = 0
        if self._sent:
            size = len(encode_still(frame.image, frame.encoding, self._codec, self._quality))
        return Answer(found, spent_ms, size)


class SplitModel:
    """Head here, tail there, the features between them coded as they travel."""

    def __init__(self, head: Head, tail: Tail) -> None:
        self._head, self._tail, self._encoder = head, tail, FeatureEncoder()
        self._gate = hiding_nothing("measured on this machine; nothing is sent")

    def __call__(self, frame: Frame) -> Answer:
        started = time.perf_counter()
        packet = self._encoder.encode(self._gate.clear_features(self._head.run(frame)))
        (found,) = self._tail.detect_batch([decode_features(packet)])
        spent_ms = (time.perf_counter() - started) * 1e3
        return Answer(found, spent_ms, len(packet.payload))


def ways_of(bundle: Bundle, *, threads: int = 1, low: bool = False) -> dict[str, Way]:
    """A way for each whole model of the bundle, `local` and `cloud`, and `split` where it is.

    With `low`, detectors keep boxes down to LOW_SCORE; `above` cuts them back.
    """
    threshold = LOW_SCORE if low and bundle.task == "detection" else 0.0
    ways: dict[str, Way] = {
        name: WholeModel(
            Detector.open(bundle, name, threads=threads, score_threshold=threshold),
            sent=name == "cloud",
        )
        for name in ("local", "cloud")
        if name in bundle.parts
    }
    if bundle.split is not None:
        tail = Tail.open(bundle, threads=threads, score_threshold=threshold)
        ways["split"] = SplitModel(Head.open(bundle, threads=threads), tail)
    return ways


def answers(way: Way, dataset: Dataset, what: str, progress: Progress = silent) -> list[Answer]:
    """Answer every picture of the dataset, in order."""
    return [way(dataset.frame(i)) for i in progress(range(len(dataset)), what)]


def above(found: Detections, threshold: float) -> Detections:
    """The detections with at least this score."""
    keep = found.scores >= np.float32(threshold)
    return Detections(found.boxes[keep], found.scores[keep], found.classes[keep], found.labels)


def score(way: str, given: Sequence[Answer], dataset: Dataset, *, threshold: float = 0.0) -> Score:
    """Hold answers against the labels; boxes below `threshold` count for the mAP alone."""
    everything = [answer.detections for answer in given]
    found = [above(one, threshold) for one in everything]
    counts = [counts_of(one, truth) for one, truth in zip(found, dataset.samples, strict=True)]
    total = sum(counts[1:], counts[0])
    boxes = dataset.task == "detection"
    spent = np.array([answer.spent_ms for answer in given])
    return Score(
        way=way,
        pictures=len(given),
        accuracy=total.f_score,
        precision=total.precision,
        recall=total.recall,
        map50=mean_average_precision(everything, dataset.samples) if boxes else None,
        bytes_up_mean=float(np.mean([answer.bytes_up for answer in given])),
        p50_ms=float(np.percentile(spent, 50)),
        p99_ms=float(np.percentile(spent, 99)),
    )


def joint_curve(
    local: Sequence[Answer],
    cloud: Sequence[Answer],
    dataset: Dataset,
    *,
    measure: str = "threshold",
) -> list[JointPoint]:
    """Joint inference at rising thresholds, from nothing sent up to everything."""
    sure = np.array([confidence(answer.detections, measure) for answer in local])
    sizes = np.array([answer.bytes_up for answer in cloud], np.float64)
    here = [counts_of(a.detections, s) for a, s in zip(local, dataset.samples, strict=True)]
    there = [counts_of(a.detections, s) for a, s in zip(cloud, dataset.samples, strict=True)]
    levels = np.unique(sure)
    if len(levels) >= POINTS_MAX:
        levels = np.unique(np.quantile(sure, np.linspace(0, 1, POINTS_MAX - 1)))
    thresholds = [*levels.tolist(), float(np.nextafter(levels[-1], 2))]
    points = []
    for threshold in thresholds:
        up = sure < threshold
        chosen = [b if u else a for a, b, u in zip(here, there, up, strict=True)]
        total = sum(chosen[1:], chosen[0])
        points.append(
            JointPoint(
                threshold=float(threshold),
                share_up=float(up.mean()),
                bytes_mean=float((sizes * up).mean()),
                accuracy=total.f_score,
            )
        )
    return points


def least_sent(curve: Sequence[JointPoint], wanted: float) -> JointPoint | None:
    """The point with the fewest frames sent that reaches an accuracy; None where none does."""
    enough = [point for point in curve if point.accuracy >= wanted]
    return min(enough, key=lambda point: point.share_up) if enough else None


@dataclass(frozen=True)
class Evaluation:
    """All ways on one dataset."""

    bundle: Bundle
    dataset: Dataset
    scores: Mapping[str, Score]
    curve: Sequence[JointPoint]  # empty where local or cloud is missing
    agreement: float | None  # of local and cloud

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "bundle": self.bundle.name,
            "version": self.bundle.version,
            "data": str(self.dataset.root),
            "pictures": len(self.dataset),
            "boxes": self.dataset.boxes,
            "ignored_regions": self.dataset.ignored,
            "notes": list(self.dataset.notes),
            "measure_of_accuracy": (
                "top-1" if self.dataset.task == "classification" else "F-score, IoU > 0.33"
            ),
            "ways": {name: asdict(value) for name, value in self.scores.items()},
            "agreement_local_cloud": self.agreement,
            "joint": [asdict(point) for point in self.curve],
        }


def evaluate(
    bundle: Bundle,
    dataset: Dataset,
    ways: Mapping[str, Way],
    *,
    measure: str = "threshold",
    progress: Progress = silent,
) -> Evaluation:
    """Answer the dataset in each way, and join `local` with `cloud`.

    The ways should keep detections down to LOW_SCORE: those below the part's own score threshold
    count for the mean average precision alone.
    """
    given: dict[str, list[Answer]] = {}
    scores: dict[str, Score] = {}
    for name, way in ways.items():
        part = "tail" if name == "split" else name
        threshold = bundle.parts[part].score_threshold if part in bundle.parts else 0.0
        everything = answers(way, dataset, name, progress)
        scores[name] = score(name, everything, dataset, threshold=threshold)
        given[name] = [
            Answer(above(a.detections, threshold), a.spent_ms, a.bytes_up) for a in everything
        ]
    curve: list[JointPoint] = []
    agreed = None
    if "local" in given and "cloud" in given:
        curve = joint_curve(given["local"], given["cloud"], dataset, measure=measure)
        found = {name: [answer.detections for answer in given[name]] for name in given}
        agreed = agreement(found["local"], found["cloud"])
    return Evaluation(bundle, dataset, scores, curve, agreed)
