"""What coding costs a bundle's network on the user's own pictures: accuracy against bytes.

The pictures are encoded one after another, as a stream is on its way to the gateway, and decoded;
the network that stands there answers each. Held against the labels where there are some, and else
against the answers to the same pictures before they were encoded (agreement: F of boxes, or the
share of pictures with the same class).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from ...compression import Decoder, StreamEncoder
from ...compression.chooser import at_once
from ...compression.codecs import CODECS, FORMATS, fault_of
from ...compression.stills import DEEP, JPEGLS
from ...config import CompressionConfig, build
from ...config.compression import CODEC_CHOICES, STILL_CODECS
from ...errors import ConfigError
from ...inference.coding import MEASUREMENT
from ...privacy import hiding_nothing
from ...types import Detections, Frame, FrameKey
from ..dataset import Dataset
from ..progress import Progress, silent
from .score import agreement

QUALITIES = (25, 35, 45, 55, 65, 75, 85, 95)
LOSE_POINTS = 1.0
"""Of accuracy, in hundredths, that the quality chosen may lose at most."""
LOSSLESS = ("png", "jpegls")
ACKNOWLEDGED_AFTER = 2
"""Frames; what tiles rest on is what the gateway has acknowledged."""


class Pictures(Protocol):
    """Frames in order, gone through anew for each codec and quality."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Frame]: ...


class Labelled:
    """The pictures of a dataset."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __iter__(self) -> Iterator[Frame]:
        return (self._dataset.frame(i) for i in range(len(self._dataset)))


Answer = Callable[[Frame], Detections]
Rate = Callable[[Sequence[Detections]], float]
"""The accuracy of answers to all pictures, 0 to 1."""


@dataclass(frozen=True)
class Point:
    """One codec at one quality. Bytes of a frame, with our headers; accuracy 0 to 1."""

    codec: str
    quality: int
    bytes_mean: float
    accuracy: float


@dataclass(frozen=True)
class Coding:
    """The curves of all codecs on some pictures."""

    measure: str  # of accuracy, in words
    pictures: int
    raw_accuracy: float  # on pictures that were not encoded
    points: tuple[Point, ...]
    faults: tuple[str, ...]  # of codecs that are not to be had here, a line each

    def of(self, codec: str) -> list[Point]:
        """The curve of one codec, rising in quality."""
        return [point for point in self.points if point.codec == codec]

    def lowest(self, lose_points: float) -> dict[str, Point]:
        """By codec, the lowest quality that loses at most so many points and above which none
        loses more; a codec that loses more even at its best is left out."""
        found = {}
        for codec in dict.fromkeys(point.codec for point in self.points):
            for point in reversed(self.of(codec)):
                if 100.0 * (self.raw_accuracy - point.accuracy) > lose_points + 1e-9:
                    break
                found[codec] = point
        return found

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        told = asdict(self)
        return {**told, "points": [asdict(point) for point in self.points]}


def wanted_codecs(text: str) -> tuple[str, ...]:
    """Codecs by name, with commas; `all`: those in software, JPEG tiles, and what works here.

    Raises ConfigError for one that is unknown.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        hardware = [s.family for s in CODECS.values() if s.hardware and not fault_of(s.name)]
        return ("jpeg", "x264", "vp9", "av1", *hardware)
    wrong = [name for name in names if name not in CODEC_CHOICES]
    if wrong or not names:
        raise ConfigError(
            f"--codec: expected all, or some of {', '.join(CODEC_CHOICES)}, got {text!r:.80}"
        )
    return tuple(dict.fromkeys(names))


def code(
    pictures: Pictures,
    answer: Answer,
    rate: Rate | None,
    codecs: Sequence[str],
    qualities: Sequence[int] = QUALITIES,
    *,
    measure: str,
    progress: Progress = silent,
) -> Coding:
    """Encode all pictures with each codec at each quality, and rate the answers to them.

    rate: by labels; None: by agreement with the answers to the pictures as they are.
    """
    counted = progress(range(len(pictures)), "as they are")
    raw = [answer(frame) for _, frame in zip(counted, pictures, strict=True)]
    rated = rate or (lambda found: agreement(found, raw))
    points, faults = [], []
    for codec in codecs:
        if fault := _missing(codec):
            faults.append(fault)
            continue
        for quality in (100,) if codec in LOSSLESS else sorted(set(qualities)):
            sizes: list[int] = []
            counted = progress(range(len(pictures)), f"{codec} {quality}")
            sent = _sent(pictures, codec, quality, sizes)
            found = [answer(frame) for _, frame in zip(counted, sent, strict=True)]
            points.append(Point(codec, quality, float(np.mean(sizes)), rated(found)))
    return Coding(measure, len(pictures), rated(raw), tuple(points), tuple(faults))


def entered(
    document: Mapping[str, Any], part: str, coding: Coding, lose_points: float
) -> dict[str, Any]:
    """The content of a bundle.yaml with the lowest qualities, as a measurement of the part.

    Those of codecs that were not tried now stay. Readers that do not know it skip it, as they
    do any measurement.
    """
    parts = {name: dict(values) for name, values in document["parts"].items()}
    measurements = dict(parts[part].get("measurements", {}))
    before = measurements.get(MEASUREMENT)
    tried = {point.codec for point in coding.points}
    kept = {k: v for k, v in before.items() if k not in tried} if isinstance(before, dict) else {}
    lowest = coding.lowest(lose_points)
    measurements[MEASUREMENT] = kept | {codec: point.quality for codec, point in lowest.items()}
    measurements["quality_loses_points"] = lose_points
    parts[part] = {**parts[part], "measurements": measurements}
    return {**document, "parts": parts}


def _missing(codec: str) -> str:
    """Why none of a codec's encoders works here; empty where one does, or none is needed."""
    if codec == "auto" or codec in STILL_CODECS:
        return ""
    faults = [fault_of(spec.name) for spec in CODECS.values() if spec.family == codec]
    return "" if not all(faults) else faults[0]


def _sent(pictures: Pictures, codec: str, quality: int, sizes: list[int]) -> Iterator[Frame]:
    """The frames as the gateway has them; the size of each packet goes into `sizes`."""
    config = build(CompressionConfig, {"codec": codec, "quality": quality})
    encoder, decoder = StreamEncoder(config, run=at_once), Decoder()
    gate = hiding_nothing("measured on this machine; nothing is sent")
    encoder.peer((*FORMATS, JPEGLS, DEEP))
    try:
        for number, frame in enumerate(pictures, 1):
            if number > ACKNOWLEDGED_AFTER:
                encoder.acknowledge(number - ACKNOWLEDGED_AFTER)
            named = Frame(FrameKey("main", number), frame.image, frame.encoding)
            packet = encoder.encode(gate.clear(named))
            sizes.append(len(packet.payload))
            yield decoder.decode(packet)
    finally:
        encoder.close()
