"""Makes a split bundle out of a whole one: head.onnx, tail.onnx, and the section `split`."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from ...compression import FeatureEncoder, decode_features
from ...errors import DependencyError
from ...inference import Bundle, BundlePart, BundleSplit, Detector, Head, Tail
from ...privacy import hiding_nothing
from ...privacy.rebuilt import KEY as REBUILT
from ...types import Detections, Frame
from ..verify import COMPANIONS, read_document
from ..writer import BundleWriter
from .graph import Model, split_graph
from .same import WITHIN_PX, same_boxes

WHOLE = "cloud"
KEPT = ("local", "cloud", "cloud_int8")
"""Parts that stay as they are beside the halves."""
FORMS = {"cloud": ("cloud_int8",)}
"""Other forms of the same network."""
HEAD_FILE, TAIL_FILE = "head.onnx", "tail.onnx"


def write_halves(
    writer: BundleWriter, bundle: Bundle, model: Model, split: BundleSplit
) -> dict[str, Any]:
    """Put the parts of `bundle`, and the halves of the ONNX `model` at `split`, into a new one.

    Returns the document that describes it, for `writer.describe`.
    """
    head, tail = split_graph(model, split.cut, split.shape, split.scale, split.zero_point)
    whole = bundle.part(split.whole)
    folder = bundle.path.parent
    document = read_document(folder)
    parts = {name: part for name, part in document["parts"].items() if name in KEPT}
    # The halves see a frame once. The whole network beside them, in whichever form, does so too,
    # to answer the same.
    for name in (split.whole, *FORMS.get(split.whole, ())):
        if name in parts:
            once = {k: v for k, v in parts[name].items() if k not in ("views", "score_thresholds")}
            threshold = bundle.part(name).seen(1).score_threshold
            parts[name] = {**once, "score_threshold": threshold}
    for name in parts:
        shutil.copyfile(bundle.part(name).path, writer.path(bundle.part(name).path.name))
    for pattern in COMPANIONS:
        for file in sorted(folder.glob(pattern)):
            if file.is_file():
                shutil.copyfile(file, writer.path(str(file.relative_to(folder))))
    writer.path(HEAD_FILE).write_bytes(head.SerializeToString())
    writer.path(TAIL_FILE).write_bytes(tail.SerializeToString())
    parts["head"] = _part(whole, HEAD_FILE)
    parts["tail"] = {**_part(whole, TAIL_FILE), "score_threshold": whole.seen(1).score_threshold}
    return {**document, "parts": parts, "split": _section(split)}


def split_bundle(
    bundle: Bundle,
    model: Model,
    split: BundleSplit,
    folder: Path,
    *,
    frames: Sequence[Frame] = (),
    answers: Sequence[Detections] = (),
    rebuilt: Mapping[str, Any] | None = None,
    replace: bool = False,
) -> dict[str, Any]:
    """Write the split bundle into `folder`, whole or not at all.

    rebuilt: what `measure_rebuilding` says of this cut; entered with the digest of the head.

    Where there are frames, and the whole network's answers for them, the halves are run on them
    first, and what was measured is entered and returned. Raises ModelError.
    """
    with BundleWriter(folder, replace=replace) as writer:
        document = write_halves(writer, bundle, model, split)
        made = writer.describe(document)
        measured: dict[str, Any] = {}
        if frames:
            measured = measure_halves(made, frames, answers)
        if rebuilt is not None:
            measured[REBUILT] = {**rebuilt, "head_sha256": made.part("head").sha256}
        if measured:
            document["split"]["measurements"].update(measured)
            writer.describe(document)
        writer.commit()
    return measured


def measure_halves(
    bundle: Bundle, frames: Sequence[Frame], answers: Sequence[Detections]
) -> dict[str, Any]:
    """Head, coding, decoding and tail on these frames, held against the whole network's answers.

    Times in ms are medians of this machine, one frame at a time; bytes are means.
    """
    head, tail, encoder = Head.open(bundle), Tail.open(bundle), FeatureEncoder()
    gate = hiding_nothing("measured on this machine; nothing is sent")
    sizes, times, found = [], [], []
    try:
        head.warm_up(1)
        tail.warm_up(1)
        for frame in frames:
            moments = [time.perf_counter()]
            features = head.run(frame)
            moments.append(time.perf_counter())
            packet = encoder.encode(gate.clear_features(features))
            moments.append(time.perf_counter())
            decoded = decode_features(packet)
            moments.append(time.perf_counter())
            found.append(tail.detect_batch([decoded])[0])
            moments.append(time.perf_counter())
            sizes.append(len(packet.payload))
            times.append(np.diff(moments) * 1e3)
    finally:
        head.close()
        tail.close()
    steps = ("head_ms", "encode_ms", "decode_ms", "tail_ms")
    return {
        "frames": len(frames),
        "bytes": round(fmean(sizes)),
        "agreement": round(same_boxes(found, answers), 4),
        "within_px": WITHIN_PX,
        **{
            name: round(float(median(spent[i] for spent in times)), 2)
            for i, name in enumerate(steps)
        },
    }


def local_part_ms(bundle: Bundle, frames: Sequence[Frame]) -> float:
    """Median time of the part `local` on this machine; NaN where there is none to run here."""
    if "local" not in bundle.parts:
        return math.nan
    try:
        detector = Detector.open(bundle, "local")
    except DependencyError:
        return math.nan
    detector.warm_up(1)
    times = []
    for frame in frames:
        detector.detect(frame)
        times.append(detector.times.infer_ms)
    detector.close()
    return median(times)


def _part(whole: BundlePart, file: str) -> dict[str, Any]:
    """A half answers under the name of the network that it is half of."""
    return {
        "file": file,
        "engine": "onnxruntime",
        "model": whole.model,
        "version": whole.version,
    }


def _section(split: BundleSplit) -> Mapping[str, Any]:
    return {
        "cut": split.cut,
        "shape": list(split.shape),
        "scale": split.scale,
        "zero_point": split.zero_point,
        "whole": split.whole,
        "measurements": dict(split.measurements),
    }
