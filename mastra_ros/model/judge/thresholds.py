"""The least score that counts, fitted on labelled pictures: one for each number of views.

With more views the scores of what is doubtful fall, so each number of views has a threshold of its
own. It should be fitted on pictures that the network was not trained on, and never on those that
its accuracy is told by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...inference import Bundle, Detector, Head, Tail
from ...types import Detections
from ..dataset import Dataset
from ..progress import Progress, silent
from .evaluate import LOW_SCORE, SplitModel, Way, WholeModel, above, answers
from .score import counts_of

GRID = np.round(np.arange(0.05, 0.96, 0.01), 2)
"""Thresholds that are tried."""

WINDOW = 7
"""Their F is smoothed over so many: the top of a flat hill, not the tip of a jagged one."""


@dataclass(frozen=True)
class Fitted:
    """The threshold of a part with a number of views, and F there and at the one it has now."""

    part: str
    views: int
    threshold: float
    f_score: float
    now: float
    f_score_now: float


def fit_thresholds(
    bundle: Bundle, dataset: Dataset, *, threads: int = 1, progress: Progress = silent
) -> list[Fitted]:
    """Fit the threshold of each detector of the bundle, with one view and with all of its views.

    Raises DataError where there is nothing to fit: classifiers, or no objects on the pictures.
    """
    if bundle.task != "detection":
        raise DataError("thresholds are fitted for detectors: a classifier's best class counts")
    if not dataset.boxes:
        raise DataError(f"{dataset.root}: expected objects on the pictures to fit thresholds by")
    fitted = []
    for name, views, way in _ways(bundle, threads):
        given = answers(way, dataset, f"{name}, {views} views", progress)
        found = [answer.detections for answer in given]
        curve = f_scores(found, dataset)
        at = best(curve)
        now = bundle.part(name).seen(views).score_threshold
        fitted.append(
            Fitted(
                part=name,
                views=views,
                threshold=float(GRID[at]),
                f_score=float(curve[at]),
                now=now,
                f_score_now=_f_score(found, dataset, now),
            )
        )
    return fitted


def entered(document: dict[str, Any], fitted: Sequence[Fitted]) -> dict[str, Any]:
    """The content of a bundle.yaml with these thresholds."""
    parts = {name: dict(part) for name, part in document["parts"].items()}
    for name, part in parts.items():
        mine = {one.views: one.threshold for one in fitted if one.part == name}
        if not mine:
            continue
        of_views = "score_thresholds" if len(mine) > 1 else "score_threshold"
        value = mine if len(mine) > 1 else next(iter(mine.values()))
        places = {"score_threshold", "score_thresholds"}
        at = next((place for place, key in enumerate(part) if key in places), len(part))
        rest = [(key, one) for key, one in part.items() if key not in places]
        parts[name] = dict([*rest[:at], (of_views, value), *rest[at:]])
    return {**document, "parts": parts}


def f_scores(found: Sequence[Detections], dataset: Dataset) -> NDArray[np.float64]:
    """F over all pictures at each threshold of GRID."""
    return np.array([_f_score(found, dataset, float(threshold)) for threshold in GRID])


def best(curve: NDArray[np.float64]) -> int:
    """Place of the highest smoothed F; of several in a row the middle one."""
    padded = np.pad(curve, WINDOW // 2, mode="edge")
    smooth = np.convolve(padded, np.ones(WINDOW) / WINDOW, mode="valid")
    top = np.flatnonzero(smooth >= smooth.max() - 1e-9)
    return int(top[len(top) // 2])


def _f_score(found: Sequence[Detections], dataset: Dataset, threshold: float) -> float:
    counts = [
        counts_of(above(one, threshold), truth)
        for one, truth in zip(found, dataset.samples, strict=True)
    ]
    return sum(counts[1:], counts[0]).f_score


def _ways(bundle: Bundle, threads: int) -> Iterator[tuple[str, int, Way]]:
    """Every detector of the bundle with one view and with all of its views."""
    for name, part in bundle.parts.items():
        if name == "head":
            continue
        for views in sorted({1, part.views}):
            if name == "tail":
                tail = Tail.open(bundle, threads=threads, score_threshold=LOW_SCORE)
                yield name, views, SplitModel(Head.open(bundle, threads=threads), tail)
                continue
            seen = replace(bundle, parts={**bundle.parts, name: part.seen(views)})
            detector = Detector.open(seen, name, threads=threads, score_threshold=LOW_SCORE)
            yield name, views, WholeModel(detector, sent=False)
            detector.close()
