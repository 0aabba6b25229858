"""Voids in a casting: where material is missing inside of it, and whether that is too much."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mastra_ros.config import CastingConfig
from mastra_ros.errors import VolumeError
from mastra_ros.pipeline.volume.grid import Grid
from mastra_ros.pipeline.volume.reconstruction import Volume
from mastra_ros.pipeline.volume.structures import Search, Structure, structures
from mastra_ros.pipeline.volume.surface import needs_medical

Array = NDArray[Any]
VOIDS_TOLD = 1000


@dataclass(frozen=True)
class Void:
    """kind: void or crack. places from the first voxel, x, y, z; length: the longest axis."""

    kind: Literal["void", "crack"]
    volume_mm3: float
    centre_mm: tuple[float, float, float]
    axes_mm: tuple[float, float, float]
    sphericity: float

    @property
    def length_mm(self) -> float:
        """Of its longest axis."""
        return self.axes_mm[0]


@dataclass(frozen=True)
class CastingVerdict:
    """verdict: pass or reject, with every reason; porosity in % of the part's volume."""

    verdict: Literal["pass", "reject"]
    reasons: tuple[str, ...]
    part_ml: float
    porosity: float
    material: float
    air: float
    voids: tuple[Void, ...]
    shapes: tuple[Structure, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain values, without the surfaces."""
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "part_ml": round(self.part_ml, 4),
            "porosity_percent": round(self.porosity, 5),
            "gray_material": round(self.material, 2),
            "gray_air": round(self.air, 2),
            "voids": [asdict(one) for one in self.voids],
        }


def inspect_casting(volume: Volume, config: CastingConfig | None = None) -> CastingVerdict:
    """Find all voids, the largest first, and judge them. VolumeError where there is no part."""
    config = config or CastingConfig()
    air, material, half = levels(volume.values)
    inside = part_of(volume, half, config.opening_mm)
    # Outside of the part, and in its skin, where the edge is: as if all were material.
    values = np.where(_peeled(inside, config.skin_voxels), volume.values, material)
    smooth_mm = config.smooth_voxels * min(volume.grid.spacing_mm)
    search = Search(
        config.contrast_share * (material - air),
        config.void_mm3 / 1000.0,
        smooth_mm,
        ("dark",),
        VOIDS_TOLD,
    )
    whole = Volume(volume.grid, values, np.ones(values.shape, np.int8))
    found = structures(whole, search)
    missing = (material - values) / (material - air)
    boxes = [_box(one, volume.grid) for one in found]
    voids = tuple(
        _void(one, _missing_mm3(missing, boxes, place, volume.grid), config)
        for place, one in enumerate(found)
    )
    part_ml = float(inside.sum()) * volume.grid.voxel_mm3 / 1000.0
    porosity = 100.0 * sum(one.volume_mm3 for one in voids) / (part_ml * 1000.0)
    reasons = tuple(reasons_against(voids, porosity, config))
    return CastingVerdict(
        "reject" if reasons else "pass",
        reasons,
        part_ml,
        porosity,
        material,
        air,
        voids,
        tuple(found),
    )


def levels(values: Array) -> tuple[float, float, float]:
    """Gray level of air and of material, and what divides them (Otsu, 1979).

    Raises VolumeError where there are no two.
    """
    low, high = (float(one) for one in np.percentile(values[::2, ::2, ::2], (0.1, 99.9)))
    if not high > low:
        raise VolumeError(f"casting: expected material and air, got one gray level, {low:g}")
    counts, edges = np.histogram(np.clip(values, low, high), 256, (low, high))
    middles = (edges[:-1] + edges[1:]) / 2
    weight = np.cumsum(counts).astype(np.float64)
    total = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (total[-1] * weight / weight[-1] - total) ** 2 / (weight * (weight[-1] - weight))
    best = int(np.nanargmax(np.where(np.isfinite(between), between, -1)))
    split = float(edges[best + 1])
    material = float(np.median(values[values > split]))
    air = float(np.median(values[values <= split]))
    return air, material, (air + material) / 2


def part_of(volume: Volume, half: float, opening_mm: float) -> Array:
    """The part with its voids: the largest piece of material and all that it encloses.

    What opens to the outside by less than `opening_mm` is enclosed too.
    """
    ndimage = _ndimage()
    solid = volume.values > half
    labels, count = ndimage.label(solid)
    if not count:
        raise VolumeError("casting: expected a part in the stack, got none")
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    part = labels == int(sizes.argmax())
    if opening_mm > 0:
        reach = opening_mm / 2
        pad = [int(np.ceil(reach / mm)) + 1 for mm in volume.grid.spacing_mm[::-1]]
        wide = np.pad(part, [(n, n) for n in pad])
        spacing = volume.grid.spacing_mm[::-1]
        wide = ndimage.distance_transform_edt(~wide, sampling=spacing) <= reach
        wide = ndimage.distance_transform_edt(wide, sampling=spacing) > reach
        inner = tuple(slice(n, -n) for n in pad)
        part |= wide[inner]
    filled: Array = ndimage.binary_fill_holes(part)
    return filled


def _peeled(inside: Array, layers: int) -> Array:
    if not layers:
        return inside
    peeled: Array = _ndimage().binary_erosion(inside, iterations=layers)
    return peeled


def _box(one: Structure, grid: Grid) -> Array:
    """(2, 3): first voxel and that after the last, x, y, z, with two voxels around the surface."""
    places = (one.mesh.vertices - np.asarray(grid.origin_mm)) / np.asarray(grid.spacing_mm)
    low = np.maximum(np.floor(places.min(0)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(places.max(0)).astype(int) + 3, grid.size)
    return np.stack([low, high])


def _missing_mm3(missing: Array, boxes: list[Array], place: int, grid: Grid) -> float | None:
    """Volume by the density that is missing around a void: that of small ones and of thin cracks
    is true then, whose gray level is never that of air. None where another void is in the way."""
    low, high = boxes[place]
    for other, (its_low, its_high) in enumerate(boxes):
        if other != place and (low < its_high).all() and (its_low < high).all():
            return None
    x, y, z = (slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))
    return float(missing[z, y, x].sum()) * grid.voxel_mm3


def _void(one: Structure, missing_mm3: float | None, config: CastingConfig) -> Void:
    kind: Literal["void", "crack"] = "crack" if one.sphericity < config.crack_sphericity else "void"
    a, b, c = (round(length, 4) for length in one.axes_mm)
    volume_mm3 = one.volume_ml * 1000.0 if missing_mm3 is None else max(0.0, missing_mm3)
    return Void(kind, round(volume_mm3, 5), one.centre_mm, (a, b, c), round(one.sphericity, 4))


def reasons_against(voids: tuple[Void, ...], porosity: float, config: CastingConfig) -> list[str]:
    """Every limit that is not held, in words; none: the part passes."""
    told = []
    large = [one for one in voids if one.volume_mm3 > config.volume_max_mm3]
    if large:
        told.append(
            f"{len(large)} voids larger than {config.volume_max_mm3:g} mm³, "
            f"the largest {max(one.volume_mm3 for one in large):.2f} mm³"
        )
    long = [one for one in voids if one.length_mm > config.length_max_mm]
    if long:
        told.append(
            f"{len(long)} voids longer than {config.length_max_mm:g} mm, "
            f"the longest {max(one.length_mm for one in long):.2f} mm"
        )
    cracks = sum(one.kind == "crack" for one in voids)
    if cracks > config.cracks_max:
        told.append(f"{cracks} cracks, at most {config.cracks_max} are allowed")
    if len(voids) > config.voids_max:
        told.append(f"{len(voids)} voids, at most {config.voids_max} are allowed")
    if porosity > config.porosity_max:
        told.append(f"porosity of {porosity:.3f} %, at most {config.porosity_max:g} % is allowed")
    return told


def _ndimage() -> Any:
    try:
        from scipy import ndimage
    except ImportError:
        raise needs_medical("scipy") from None
    return ndimage
