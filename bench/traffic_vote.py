"""The vote over the readings of a track: on drawn tracks, whose plates are known, and on a video.

Of a drawn crossing each view that the device asks for is read, and each reading by itself is set
beside the truth of the vehicle that it was taken of; so is what the votes of a track tell at the
end. Of a video nobody wrote down the plates: there it counts how many are told, and of how many
readings by themselves the device would have said something.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mastra_ros.camera.drawn.crossing import Crossing, CrossingOptions
from mastra_ros.config import TrafficConfig, build
from mastra_ros.inference.bundle import load_bundle
from mastra_ros.inference.detector import Detector
from mastra_ros.pipeline.traffic.device import TrafficDevice
from mastra_ros.pipeline.traffic.device.cascade import PlateCascade
from mastra_ros.pipeline.traffic.plates.formats import formatted
from mastra_ros.pipeline.traffic.site.file import load_site
from mastra_ros.types import Frame, FrameKey

SEED, SECONDS, RATE_HZ = 12, 40.0, 10.0
SAME_IOU = 0.5
FOLD = str.maketrans("OQI", "001")

Box = tuple[float, ...]
Pictures = Iterable[tuple[int, Any, list[tuple[Box, str]]]]
"""Stamp in ns, picture, and of each vehicle its box in px and its plate, where they are known."""


def vote(data: Path, bundle: str, reader: str) -> dict[str, Any]:
    """Of drawn tracks and, where it is there, of crossing.mp4."""
    told = {
        "reader": reader,
        "drawn": _measured(_drawn(), "config/traffic_crossing.yaml", bundle, reader),
    }
    video = data / "videos/crossing.mp4"
    site = str(Path(__file__).parent / "traffic_crossing.yaml")
    if video.exists():
        told["video"] = _measured(_video(video), site, bundle, reader)
    return told


def _drawn() -> Iterator[tuple[int, Any, list[tuple[Box, str]]]]:
    options = CrossingOptions(seed=SEED, width_px=1280, height_px=720, rate_hz=RATE_HZ)
    crossing = Crossing(options)
    for n in range(round(SECONDS * RATE_HZ)):
        image, truth = crossing.frame(n)
        yield round(n * 1e9 / RATE_HZ) + 1, image, [(one.box, one.plate) for one in truth.objects]


def _video(path: Path, every: int = 3) -> Iterator[tuple[int, Any, list[tuple[Box, str]]]]:
    capture = cv2.VideoCapture(str(path))
    n = 0
    while True:
        ok, image = capture.read()
        if not ok:
            return
        if n % every == 0:
            yield n * 10**9 // 30 + 1, np.asarray(image, np.uint8), []
        n += 1


def _measured(pictures: Pictures, site: str, bundle: str, reader: str) -> dict[str, Any]:
    config = build(TrafficConfig, {"plate_reader": reader})
    device = TrafficDevice(config, load_site(site), None)
    detector = Detector.open(load_bundle(bundle), "local", threads=1, score_threshold=0.1)
    cascade = PlateCascade.open(config)
    truths: dict[int, Counter[str]] = {}
    single: Counter[str] = Counter()
    known = False
    for number, (stamp_ns, image, vehicles) in enumerate(pictures):
        known = known or bool(vehicles)
        frame = Frame(FrameKey("bench", number + 1), image)
        device.on_frame(stamp_ns, image, detector.detect(frame))
        for one in device.wanted()[:1]:
            looked = cascade.look(image, one.box)
            width_px = 0.0 if looked.box is None else looked.box[2] - looked.box[0]
            truth = _of(one.box, vehicles)
            truths.setdefault(one.track, Counter())[truth] += 1
            if looked.reading is not None:
                said = formatted(looked.reading, cascade.formats)
                sure = len(said.text) >= 3 and said.confidence >= config.plate_confidence
                single[_verdict(said.text if sure else None, truth)] += 1
            device.on_plate(one.track, width_px, looked.reading)
    cascade.close()
    voted: Counter[str] = Counter()
    for track, seen in truths.items():
        won = device.plate_of(track)
        voted[_verdict(won[0] if won else None, seen.most_common(1)[0][0])] += 1
    told = {"tracks": len(truths), "readings": single.total()}
    for name, counts in (("one_reading", single), ("vote", voted)):
        told[f"{name}_told"] = counts["right"] + counts["wrong"]
        if known:
            told[f"{name}_right"] = counts["right"]
    return told


def _verdict(text: str | None, truth: str) -> str:
    if text is None:
        return "unsure"
    return "right" if text.translate(FOLD) == truth.translate(FOLD) else "wrong"


def _of(box: Box, vehicles: list[tuple[Box, str]]) -> str:
    """The plate of the vehicle in this box; empty where none is there."""
    found = max(vehicles, key=lambda one: iou(box, one[0]), default=None)
    return found[1] if found is not None and iou(box, found[0]) > SAME_IOU else ""


def iou(a: Box, b: Box) -> float:
    """Of two boxes x1 y1 x2 y2 what both have as a share of what either has."""
    across = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    down = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
    return across * down / (areas - across * down)
