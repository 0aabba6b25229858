"""Temporal calibration: by how much pictures are stamped later than the poses that fit them.

The probe goes up and down over the flat bottom of a water tank. Where its echo lies in the middle
column of the picture, and where the tracker sees the probe along the main way of its motion, are
the same movement; the lag is where the two agree best (as PLUS does it). Positive: pictures are
late. PLUS itself tells the lag of the tracker, with the opposite sign.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mastra_ros.errors import DataError
from mastra_ros.pipeline.ultrasound.metafile import Metafile

Values = NDArray[np.float64]
PEAK_SHARE = 0.3
"""Columns whose brightest pixel has this share of the picture's show the bottom."""
PEAK_MIN = 40
COLUMNS_MIN = 20
STEP_S = 0.001
AGREEMENT_MIN = 0.9
MOTION_MIN_MM = 5.0
PICTURES_MIN = 20


@dataclass(frozen=True)
class Lag:
    """lag_ms: pictures are stamped so much later. agreement: correlation at that lag, 0 to 1."""

    lag_ms: float
    agreement: float
    pictures: int
    poses: int
    motion_mm: float

    @property
    def plus_ms(self) -> float:
        """As PLUS tells it: the tracker's lag."""
        return -self.lag_ms


def bottom_px(picture: NDArray[np.uint8]) -> float:
    """Row of the bottom's echo in the middle column; NaN where too little of it is seen."""
    peaks = picture.max(axis=0).astype(float)
    columns = np.flatnonzero(peaks >= max(PEAK_MIN, PEAK_SHARE * peaks.max()))
    if len(columns) < COLUMNS_MIN:
        return float("nan")
    rows = picture[:, columns].argmax(axis=0).astype(float)
    middle = picture.shape[1] / 2
    line = np.polyfit(columns - middle, rows, 1)
    for _ in range(3):  # what lies far from the line is no bottom
        off = np.abs(np.polyval(line, columns - middle) - rows)
        near = off <= max(2.0, 2.5 * float(np.median(off)))
        line = np.polyfit(columns[near] - middle, rows[near], 1)
    return float(line[1])


def main_motion_mm(positions: Values) -> Values:
    """(n, 3) positions along the way on which they vary most."""
    centred = positions - positions.mean(axis=0)
    way = np.linalg.svd(centred, full_matrices=False)[2][0]
    along: Values = centred @ way
    return along


def find_lag(
    picture_s: Values, row_px: Values, pose_s: Values, motion_mm: Values, *, within_ms: float = 500
) -> Lag:
    """The lag of pictures against poses. DataError, with numbers, where it cannot be told."""
    seen = np.isfinite(row_px)
    picture_s, row_px = picture_s[seen], row_px[seen]
    if len(pose_s) < PICTURES_MIN or len(picture_s) < PICTURES_MIN:
        raise DataError(
            f"lag: expected at least {PICTURES_MIN} pictures that show the bottom and as many "
            f"poses, got {len(picture_s)} and {len(pose_s)}"
        )
    for name, stamps in (("pictures", picture_s), ("poses", pose_s)):
        if (np.diff(stamps) <= 0).any():
            back = int((np.diff(stamps) <= 0).sum())
            raise DataError(f"lag: expected stamps that grow, {back} of {name} do not")
    reach_s = within_ms / 1000
    inside = (picture_s >= pose_s[0] + reach_s) & (picture_s <= pose_s[-1] - reach_s)
    picture_s, row_px = picture_s[inside], row_px[inside]
    if len(picture_s) < PICTURES_MIN:
        raise DataError(
            f"lag: expected at least {PICTURES_MIN} pictures with poses {within_ms:g} ms before "
            f"and after, got {len(picture_s)}"
        )
    moved = float(np.ptp(motion_mm))
    if moved < MOTION_MIN_MM:
        raise DataError(f"lag: expected a motion of {MOTION_MIN_MM:g} mm or more, got {moved:.1f}")
    steps = round(reach_s / STEP_S)
    lags = np.arange(-steps, steps + 1) * STEP_S
    scores = np.array(
        [
            abs(_correlation(row_px, np.interp(picture_s - lag, pose_s, motion_mm)))
            for lag in lags.tolist()
        ]
    )
    best = int(scores.argmax())
    if not scores[best] >= AGREEMENT_MIN or best in (0, len(lags) - 1):
        raise DataError(
            f"lag: expected pictures and poses to agree to {AGREEMENT_MIN:g} within "
            f"{within_ms:g} ms, got {scores[best]:.3f} at {lags[best] * 1e3:.0f} ms"
        )
    low, top, high = scores[best - 1 : best + 2]
    bend = low - 2 * top + high
    fine = 0.5 * (low - high) / bend if bend else 0.0
    lag_s = float(lags[best] + fine * STEP_S)
    return Lag(lag_s * 1e3, float(scores[best]), len(picture_s), len(pose_s), moved)


def lag_of_files(pictures: Metafile, poses: Metafile, tool: str = "ProbeToTracker") -> Lag:
    """Of two sequences, or one twice. Frames without a stamp or a valid pose are left out."""
    stamps, rows = [], []
    for number, picture in enumerate(pictures.pictures()):
        stamp = pictures.stamp_s(number)
        if stamp is not None and picture.ndim == 2:
            stamps.append(stamp)
            rows.append(bottom_px(picture))
    told = [(poses.stamp_s(n), poses.transform(n, tool)) for n in range(len(poses.fields))]
    valid = [(stamp, matrix) for stamp, matrix in told if stamp is not None and matrix is not None]
    if not valid:
        raise DataError(
            f"{poses.path}: expected poses {tool}, got {', '.join(poses.transforms()) or 'none'}"
        )
    return find_lag(
        np.array(stamps),
        np.array(rows),
        np.array([stamp for stamp, _ in valid]),
        main_motion_mm(_positions([matrix for _, matrix in valid])),
    )


def _positions(matrices: Iterable[NDArray[np.float64]]) -> Values:
    return np.array([matrix[:3, 3] for matrix in matrices])


def _correlation(first: Values, second: Values) -> float:
    first, second = first - first.mean(), second - second.mean()
    size = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / size if size else 0.0
