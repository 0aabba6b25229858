"""What each cut of a network costs: time before and after it, bytes across it.

The network is run block by block between neighbouring cuts, on real frames, so that a whole
pass over all cuts takes the time of one run of the network a frame. Blocks timed alone add up to
a little more than the whole, since a runtime saves where they join; the times are scaled to the
whole's. Fewer levels of quantisation make the tensor smaller and, at last, the answers worse:
the fewest are taken with which they still agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import fmean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compression import FeatureEncoder, decode_features
from ...errors import ModelError
from ...inference import Bundle, BundleSplit
from ...inference.contract import agree
from ...inference.feeder import Feeder
from ...inference.opening import open_engine
from ...inference.preprocess import Transform
from ...inference.reader import Reader
from ...privacy import hiding_nothing
from ...types import Detections, Features, Frame, FrameKey
from ..progress import Progress, silent
from .graph import Model, extract, input_names, output_names, single_tensor_cuts
from .same import same_boxes
from .session import Session

LEVELS = (256, 128, 64, 32, 16, 8)
"""Numbers of values that the quantised tensor may span, tried in this order."""

AGREEMENT_MIN = 0.98
"""Share of boxes that the split network must have in common with the whole one."""

RUNS = 3

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Cut:
    """One single-tensor cut; times are of this machine, a frame at a time, in ms."""

    name: str
    shape: tuple[int, ...]
    head_ms: float
    tail_ms: float
    low: float  # least and greatest value in the frames seen, with 0 between them
    high: float
    bytes_at: Mapping[int, float]  # mean coded size by levels
    agreement_at: Mapping[int, float]  # with the whole network's answers
    levels: int  # the fewest that agree
    encode_ms: float
    decode_ms: float

    @property
    def coded_bytes(self) -> float:
        return self.bytes_at[self.levels]

    @property
    def agreement(self) -> float:
        return self.agreement_at[self.levels]

    def split(self, measurements: Mapping[str, Any] | None = None) -> BundleSplit:
        """How the tensor at this cut is quantised."""
        scale, zero_point = quantisation(self.low, self.high, self.levels)
        return BundleSplit(
            self.name, self.shape, scale, zero_point, "", measurements=measurements or {}
        )


@dataclass(frozen=True)
class Profile:
    """All cuts of a network, from its input to its outputs."""

    cuts: tuple[Cut, ...]
    whole_ms: float
    answers: tuple[Detections, ...] = field(repr=False)  # of the whole network, frame by frame

    def cut(self, name: str) -> Cut:
        """A cut by name. Raises ModelError, naming those that there are."""
        for cut in self.cuts:
            if cut.name == name:
                return cut
        known = ", ".join(cut.name for cut in self.cuts)
        raise ModelError(f"{name!r} is no single-tensor cut of the network; these are: {known}")


def quantisation(low: float, high: float, levels: int) -> tuple[float, int]:
    """Scale and zero point with which `low` to `high`, and 0 in between, span so many values.

    Beyond `high` int8 saturates, with fewer than 256 levels only far beyond.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / (levels - 1))) or 1.0
    return scale, int(np.clip(round(-low / scale) - 128, -128, 127))


def profile(
    bundle: Bundle,
    part_name: str,
    model: Model,
    frames: Sequence[Frame],
    *,
    threads: int = 1,
    agreement_min: float = AGREEMENT_MIN,
    levels: Sequence[int] = LEVELS,
    progress: Progress = silent,
) -> Profile:
    """Measure every cut on these frames. `model` is the ONNX model of the part.

    Raises ModelError when the model does not fit its bundle or has no cut.
    """
    names = single_tensor_cuts(model)
    if not names or not frames:
        raise ModelError(f"{bundle.name}: no single-tensor cut, or no frames to measure it on")
    network = Network(bundle, part_name, model, threads)
    values, transforms = network.feed(frames)
    whole = Session(model, threads)
    answers = tuple(
        network.read(whole.run(value), t) for value, t in zip(values, transforms, strict=True)
    )
    whole_ms = _timed(whole, values)
    blocks: list[float] = []
    found: list[Cut] = []
    at = input_names(model)[0]
    shapes: dict[str, tuple[int, ...]] = {}
    for name in progress(names, "cuts"):
        block = Session(extract(model, [at], [name], shapes), threads)
        blocks.append(_timed(block, values))
        values = [block.run(value)[0] for value in values]
        at, shapes = name, {name: values[0].shape[1:]}
        tail = Session(extract(model, [name], output_names(model), shapes), threads)
        found.append(
            _measured(name, values, tail, network, transforms, answers, levels, agreement_min)
        )
    blocks.append(_timed(tail, values))
    scaled = np.cumsum(blocks) * (whole_ms / sum(blocks))
    cuts = tuple(
        _with_times(cut, float(head_ms), whole_ms - float(head_ms))
        for cut, head_ms in zip(found, scaled, strict=False)
    )
    return Profile(cuts, whole_ms, answers)


class Network:
    """Feeding and reading, the same for the whole network and for its tails."""

    def __init__(self, bundle: Bundle, part_name: str, model: Model, threads: int) -> None:
        part = bundle.part(part_name)
        engine = open_engine(part, threads=threads)
        try:
            contract = agree(bundle, part, engine)
        finally:
            engine.close()
        outputs = {spec.name: spec for spec in engine.outputs}
        self._feeder = Feeder(bundle.input, contract.feed)
        self._batch = contract.feed.batch or 1
        self._reader = Reader(
            bundle, part, [outputs[name] for name in output_names(model)], contract.grid
        )
        self.bundle = bundle

    def feed(self, frames: Sequence[Frame]) -> tuple[list[Any], list[Transform]]:
        fed = [self._feeder.batch([frame], self._batch) for frame in frames]
        return [tensor for tensor, _ in fed], [transforms[0] for _, transforms in fed]

    def read(self, outputs: Sequence[Any], transform: Transform) -> Detections:
        return self._reader.read(outputs, 0, transform)


def _measured(
    name: str,
    values: Sequence[Floats],
    tail: Session,
    network: Network,
    transforms: Sequence[Transform],
    answers: Sequence[Detections],
    levels: Sequence[int],
    agreement_min: float,
) -> Cut:
    """A cut without its times."""
    low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
    sizes: dict[int, float] = {}
    agreements: dict[int, float] = {}
    taken, encode_ms, decode_ms = 0, 0.0, 0.0
    for count in levels:
        scale, zero_point = quantisation(low, high, count)
        coded = [
            _coded(name, quantise(value, scale, zero_point)[0], scale, zero_point, t)
            for value, t in zip(values, transforms, strict=True)
        ]
        found = [
            network.read(tail.run(real(quantise(value, scale, zero_point), scale, zero_point)), t)
            for value, t in zip(values, transforms, strict=True)
        ]
        sizes[count] = fmean(size for size, _, _ in coded)
        agreements[count] = same_boxes(found, answers)
        if taken and agreements[count] < agreement_min:
            break
        taken = count
        encode_ms, decode_ms = (median(one[i] for one in coded) for i in (1, 2))
        if agreements[count] < agreement_min:
            break
    shape = tuple(int(side) for side in values[0].shape[1:])
    return Cut(name, shape, 0.0, 0.0, low, high, sizes, agreements, taken, encode_ms, decode_ms)


def quantise(value: Floats, scale: float, zero_point: int) -> NDArray[np.int8]:
    """Real numbers -> int8, as the head does it."""
    steps = np.rint(value / np.float32(scale)) + zero_point
    return np.asarray(np.clip(steps, -128, 127), np.int8)


def real(value: NDArray[np.int8], scale: float, zero_point: int) -> Floats:
    """int8 -> real numbers, as the tail does it."""
    steps = value.astype(np.float32) - np.float32(zero_point)
    return np.asarray(steps * np.float32(scale), np.float32)


def _coded(
    name: str, tensor: NDArray[np.int8], scale: float, zero_point: int, transform: Transform
) -> tuple[int, float, float]:
    """Coded size in bytes, and the times of encoding (the way of coding being known) and decoding.

    Both in ms.
    """
    features = Features(
        FrameKey("profile", 0),
        name,
        tensor,
        scale,
        zero_point,
        transform.width_px,
        transform.height_px,
    )
    encoder = FeatureEncoder()
    cleared = hiding_nothing("measured on this machine; nothing is sent").clear_features(features)
    encoder.encode(cleared)
    packet, encode_ms = _stopwatch(lambda: encoder.encode(cleared))
    _, decode_ms = _stopwatch(lambda: decode_features(packet))
    return len(packet.payload), encode_ms, decode_ms


def _stopwatch(function: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    result = function()
    return result, (time.perf_counter() - started) * 1e3


def _timed(session: Session, values: Sequence[Any]) -> float:
    """Median time of a run, ms."""
    session.run(values[0])
    return median(
        _stopwatch(partial(session.run, value))[1] for _ in range(RUNS) for value in values
    )


def _with_times(cut: Cut, head_ms: float, tail_ms: float) -> Cut:
    return replace(cut, head_ms=head_ms, tail_ms=tail_ms)
