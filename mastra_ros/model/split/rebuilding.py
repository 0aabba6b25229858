"""What can be rebuilt of a plate from the features at each cut: trained for, and measured.

Plates are drawn into pictures of the network's size, always in one place; the features around it,
as int8 as they would be sent, are what a decoder gets. How alike a rebuilt plate is to the true
one is told by the correlation of both, after each is brought to mean 0 and spread 1 and the mean
of all plates is taken away: what is left are the letters. Where little is rebuilt, the decoder is
trained again on the picture itself, folded into the cells of the same cut: that control says
whether it can learn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ...inference import Bundle
from ...privacy.rebuilt import CONTROL_MIN, CORRELATION_MAX
from ...types import Frame, FrameKey
from ..needs import require_torch
from ..progress import Progress, silent
from .cuts import Cut, Network, quantise
from .decoder import ENOUGH, Floats, Learnt, Window, by_network, by_ridge
from .graph import Model, extract, input_names
from .session import Session

TRAIN, VALIDATION, HELD_OUT = 900, 100, 250
EPOCHS = 60
MARGIN_CELLS = 2
"""Cells around those of the plate that the decoder gets: a network looks beyond its borders."""
CELLS_MIN = 3
"""A map of fewer rows or columns has no places worth the name."""
FLAT_MAX = 4096
"""Features of no place beyond this count are not measured."""
CONTROL_VALUES = 128
"""Of the picture's principal components, for the control of features of no place."""

Read = Callable[[list[NDArray[np.uint8]]], list[set[str]]]
"""What the readers that are installed read on each picture of a plate."""


class Samples(Protocol):
    """Pictures with a plate: see `camera.drawn.plate_samples`."""

    box: tuple[int, int, int, int]

    def draw(self, number: int) -> tuple[NDArray[np.uint8], str]:
        """The picture of this number, and the text of its plate."""


@dataclass(frozen=True)
class Counts:
    """Plates to learn from, to know when to stop, and to measure on; epochs at most."""

    train: int = TRAIN
    validation: int = VALIDATION
    held_out: int = HELD_OUT
    epochs: int = EPOCHS

    @property
    def total(self) -> int:
        return self.train + self.validation + self.held_out

    def parts(self, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """The three."""
        first, second, third = np.split(values, [self.train, self.train + self.validation])
        return first, second, third


def measure_rebuilding(
    bundle: Bundle,
    part_name: str,
    model: Model,
    cuts: Sequence[Cut],
    samples: Samples,
    *,
    counts: Counts | None = None,
    read: Read | None = None,
    threads: int = 1,
    progress: Progress = silent,
) -> dict[str, dict[str, Any]]:
    """For each cut what `privacy.rebuilt.why_not` asks for, but the head's digest.

    Raises DependencyError without PyTorch.
    """
    torch = require_torch()
    counts = counts or Counts()
    found: dict[str, dict[str, Any]] = {}
    windows: dict[str, Window] = {}
    for cut in cuts:
        window = window_of(cut.shape, (bundle.input.height_px, bundle.input.width_px), samples.box)
        if window is None:
            found[cut.name] = {"samples": 0, "problem": f"more than {FLAT_MAX} without places"}
        else:
            windows[cut.name] = window
    wanted = [cut for cut in cuts if cut.name in windows]
    if wanted:
        network = Network(bundle, part_name, model, threads)
        shown, features = _collected(network, model, wanted, windows, samples, counts, progress)
        controls: dict[Window, float] = {}
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            for cut in progress(wanted, "decoders"):
                window = windows[cut.name]
                told = _attacked(features.pop(cut.name), window, shown, read)
                little = not told["correlation_upper"] > CORRELATION_MAX  # else nothing to prove
                if little:
                    if window not in controls:
                        controls[window] = _control(window, shown)
                    told["control"] = round(controls[window], 4)
                found[cut.name] = {**told, "plate_px": samples.box[2] - samples.box[0]}
        finally:
            torch.set_num_threads(before)
    return {cut.name: found[cut.name] for cut in cuts}


def window_of(
    shape: Sequence[int], size_px: tuple[int, int], box: tuple[int, int, int, int]
) -> Window | None:
    """What a decoder gets of the features of one frame, for a plate at this place.

    None for features without places of which there are too many to learn from.
    """
    left, top, right, bottom = box
    high, wide = bottom - top, right - left
    if len(shape) != 3 or min(shape[1:]) < CELLS_MIN:
        if math.prod(shape) > FLAT_MAX:
            return None
        return Window((1, 1), (high, wide), (0, high, 0, wide))
    places, covered, inside = [], [], []
    for count, side_px, first, last in zip(
        shape[1:], size_px, (top, left), (bottom, right), strict=True
    ):
        step = side_px / count
        start = max(0, math.floor(first / step) - MARGIN_CELLS)
        stop = min(count, math.ceil(last / step) + MARGIN_CELLS)
        places.append((start, stop))
        covered.append(round((stop - start) * step))
        inside += [first - round(start * step), last - round(start * step)]
    (start, stop), (begin, end) = places
    return Window(
        (stop - start, end - begin),
        (covered[0], covered[1]),
        (inside[0], inside[1], inside[2], inside[3]),
        (start, begin),
    )


class Plates:
    """The true plates and their texts, and how alike others are to them."""

    def __init__(self, plates: Floats, texts: Sequence[str], counts: Counts) -> None:
        self.counts = counts
        self.all = plates
        train, self.validation, self.held_out = counts.parts(plates)
        self.texts = list(texts[-counts.held_out :])
        self._mean = _evened(train).mean(0)
        self._readable: int | None = None
        spread = float(train.std()) or 1.0
        self.train = np.asarray((train - train.mean()) / spread, np.float32)

    def alike(self, rebuilt: Floats, true: Floats) -> Floats:
        """Correlations of the letters, one a plate; 0 where nothing is to be seen."""
        one, other = (
            (_evened(some) - self._mean).reshape(len(some), -1) for some in (rebuilt, true)
        )
        size = np.sqrt((one * one).sum(1) * (other * other).sum(1))
        return np.asarray((one * other).sum(1) / np.maximum(size, 1e-6), np.float32)

    def score(self, rebuilt: Floats) -> float:
        """Of the plates of the validation."""
        return float(self.alike(rebuilt, self.validation).mean())

    def readable(self, read: Read) -> int:
        """How many are read before anything is done to them."""
        if self._readable is None:
            self._readable = int(self.read_exactly(self.held_out, read).sum())
        return self._readable

    def read_exactly(self, plates: Floats, read: Read) -> NDArray[np.bool_]:
        """Which of the held-out texts are read."""
        pictures = [_picture(plate) for plate in plates]
        return np.array(
            [text in seen for text, seen in zip(self.texts, read(pictures), strict=True)]
        )


def upper_bound(values: Floats) -> float:
    """Of the mean, 95 %: normal, which the mean of some hundred correlations is near enough."""
    return float(values.mean() + 1.96 * values.std(ddof=1) / math.sqrt(len(values)))


def _collected(
    network: Network,
    model: Model,
    cuts: Sequence[Cut],
    windows: Mapping[str, Window],
    samples: Samples,
    counts: Counts,
    progress: Progress,
) -> tuple[Plates, dict[str, NDArray[np.int8]]]:
    """The plates of all samples, and their features, (n, channels, rows, columns), by cut."""
    left, top, right, bottom = samples.box
    session = Session(extract(model, [input_names(model)[0]], [cut.name for cut in cuts]))
    features: dict[str, list[NDArray[np.int8]]] = {cut.name: [] for cut in cuts}
    plates, texts = [], []
    for number in progress(range(counts.total), "plates"):
        picture, text = samples.draw(number)
        fed, _ = network.feed([Frame(FrameKey("measured", number + 1), picture, "bgr8")])
        for cut, value in zip(cuts, session.run(fed[0]), strict=True):
            split, window = cut.split(), windows[cut.name]
            tensor = quantise(value[0], split.scale, split.zero_point)
            features[cut.name].append(np.ascontiguousarray(window.of(tensor)))
        plates.append(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[top:bottom, left:right])
        texts.append(text)
    shown = Plates(np.array(plates, np.float32), texts, counts)
    return shown, {name: np.array(some) for name, some in features.items()}


def _attacked(
    features: NDArray[np.int8], window: Window, shown: Plates, read: Read | None
) -> dict[str, Any]:
    """What the attackers get out of the features at a cut; the second where the first fails."""
    train, validation, held_out = _standardised(shown.counts.parts(features))
    tried = [by_ridge((train, shown.train), validation, held_out, shown.score)]
    if upper_bound(shown.alike(tried[0].plates, shown.held_out)) <= CORRELATION_MAX:
        tried.append(_network_of(train, validation, held_out, window, shown))
    alike = max((shown.alike(one.plates, shown.held_out) for one in tried), key=upper_bound)
    told: dict[str, Any] = {
        "samples": len(alike),
        "correlation": round(float(alike.mean()), 4),
        "correlation_upper": round(upper_bound(alike), 4),
        "readings": 0,
        "settled": tried[-1].settled,
        "attackers": ["ridge", "network"][: len(tried)],
    }
    if read is not None:
        seen = [shown.read_exactly(one.plates, read) for one in tried]
        told["readings"] = int(np.any(seen, axis=0).sum())
        told["readable"] = shown.readable(read)
    return told


def _control(window: Window, shown: Plates) -> float:
    """The correlation that the same decoder reaches where the picture is in the features."""
    folded = _components(shown) if window.place is None else _folded(shown.all, window)
    train, validation, held_out = _standardised(shown.counts.parts(folded))
    made = _network_of(train, validation, held_out, window, shown, enough=CONTROL_MIN + 0.05)
    return float(shown.alike(made.plates, shown.held_out).mean())


def _network_of(
    train: Floats,
    validation: Floats,
    held_out: Floats,
    window: Window,
    shown: Plates,
    *,
    enough: float = ENOUGH,
) -> Learnt:
    learn = (train, shown.train)
    epochs = shown.counts.epochs
    return by_network(
        learn, validation, held_out, window, shown.score, epochs=epochs, enough=enough
    )


def _folded(plates: Floats, window: Window) -> Floats:
    """Pictures in the cells of a cut: what each cell covers becomes its channels."""
    rows, columns = window.cells
    fold = 2**window.doublings
    top, bottom, left, right = window.plate
    made = []
    for plate in plates:
        whole = np.full(window.size_px, plate.mean(), np.float32)
        whole[top:bottom, left:right] = plate
        fitted = cv2.resize(whole, (columns * fold, rows * fold), interpolation=cv2.INTER_AREA)
        cells = fitted.reshape(rows, fold, columns, fold).transpose(1, 3, 0, 2)
        made.append(cells.reshape(fold * fold, rows, columns))
    return np.array(made, np.float32)


def _components(shown: Plates) -> Floats:
    """Pictures as their principal components, (n, components, 1, 1)."""
    flat = shown.all.reshape(len(shown.all), -1)
    middle = flat[: shown.counts.train].mean(0)
    _, _, axes = np.linalg.svd(flat[: shown.counts.train] - middle, full_matrices=False)
    return np.asarray(((flat - middle) @ axes[:CONTROL_VALUES].T)[:, :, None, None], np.float32)


def _standardised(parts: Sequence[NDArray[Any]]) -> list[Floats]:
    """Of mean 0 and spread 1, channel by channel, as in those to learn from."""
    train = parts[0].astype(np.float32)
    mean = train.mean((0, 2, 3), keepdims=True)
    spread = np.maximum(train.std((0, 2, 3), keepdims=True), 1e-3)
    return [np.asarray((part - mean) / spread, np.float32) for part in parts]


def _evened(plates: Floats) -> Floats:
    """Each of mean 0 and spread 1."""
    middle = plates - plates.mean((1, 2), keepdims=True)
    return np.asarray(middle / np.maximum(middle.std((1, 2), keepdims=True), 1e-6), np.float32)


def _picture(plate: Floats) -> NDArray[np.uint8]:
    """For a reader: of full contrast."""
    least, most = float(plate.min()), float(plate.max())
    return np.asarray((plate - least) * (255 / max(most - least, 1e-6)), np.uint8)
