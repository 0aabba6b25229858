"""Holds a network that was made from another against it, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError
from ...inference import BundleInput
from ...inference.preprocess import pixel_values
from ..dataset import Dataset
from .quantise import feed_of

RELATIVE = 1e-3
"""Largest difference allowed, as a share of the output's largest value."""
RELATIVE_HALF = 3e-2
"""The same for a network that computes in float16, which is rebuilt in float32."""
REAL_PICTURES = 4
BLOCKS_PX = (1, 8, 32)
"""Noise of blocks this large, so that its mean reaches the last layers too."""
NOTHING = 1e-6  # an output that stays below is all zero

Tensors = list[NDArray[Any]]
Run = Callable[[NDArray[np.float32]], Tensors]


@dataclass(frozen=True)
class Difference:
    """The largest of an output, as a share of its own largest value."""

    output: str
    share: float
    largest: float  # value of the output
    picture: str


def pictures_of(
    data: Dataset | None, spec: BundleInput
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Pictures of noise, and some of the data: (1, channels, height, width), with their names."""
    rng = np.random.default_rng(11)
    values = pixel_values(spec)
    for block in BLOCKS_PX:
        rows, columns = -(-spec.height_px // block), -(-spec.width_px // block)
        noise = rng.integers(0, 256, (rows, columns, spec.channels)).repeat(block, 0)
        noise = noise.repeat(block, 1)[: spec.height_px, : spec.width_px]
        picture = np.stack([values[noise[..., c], c] for c in range(spec.channels)])
        yield f"noise of {block} px", picture[None].astype(np.float32)
    if data is not None:
        for index in np.linspace(0, len(data) - 1, min(REAL_PICTURES, len(data))).astype(int):
            tensor = feed_of(data, int(index), spec)
            name = data.samples[int(index)].path.name
            yield name, np.ascontiguousarray(tensor.transpose(0, 3, 1, 2))


def worst_difference(
    original: Run,
    made: Run,
    names: Sequence[str],
    pictures: Sequence[tuple[str, NDArray[np.float32]]],
) -> Difference:
    """The output that differs most in proportion to its largest value.

    Raises ModelError where numbers or shapes of outputs differ.
    """
    worst = Difference("", -1.0, 0.0, "")
    for picture, image in pictures:
        wanted, got = original(image), made(image)
        if [one.shape for one in wanted] != [one.shape for one in got]:
            shapes = " and ".join(
                ", ".join(str(list(one.shape)) for one in some) for some in (wanted, got)
            )
            raise ModelError(f"outputs have other shapes than those of the original: {shapes}")
        for name, one, other in zip(names, wanted, got, strict=True):
            share, largest = _share(one.astype(np.float64), other.astype(np.float64))
            if not share <= worst.share:  # NaN counts as worst
                worst = Difference(name, share, largest, picture)
                if np.isnan(share):
                    return worst
    return worst


def _share(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):  # differences of infinities, which are the same or count
        apart = np.where(same, 0.0, np.abs(one - other))
    finite = np.abs(one[np.isfinite(one)])
    largest = float(finite.max()) if finite.size else 0.0
    if largest < NOTHING:
        return (0.0 if apart.max() < NOTHING else np.inf), largest
    return float(apart.max()) / largest, largest


def require_alike(found: Difference, allowed: float, what: str, why: str = "") -> None:
    """Raise ModelError where the difference is larger than allowed."""
    if found.share <= allowed:
        return
    raise ModelError(
        f"{what} computes something else: output {found.output} differs by {found.share:.2g} of "
        f"its largest value {found.largest:.3g} (allowed: {allowed:g}) for {found.picture}{why}"
    )
