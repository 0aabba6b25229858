"""The limits of castings: what `mastra casting` looks for, and what it rejects."""

from __future__ import annotations

from dataclasses import dataclass

from .parameter import parameter


@dataclass(frozen=True)
class CastingConfig:
    """What counts as a void, and when a part is rejected. A limit of 0 mm or mm³ rejects any."""

    spacing_x_mm: float = parameter(
        0.0,
        "of pixels across, where the slices do not say; 0: they must",
        unit="mm",
        minimum=0.0,
        maximum=100.0,
    )
    spacing_y_mm: float = parameter(
        0.0, "of pixels down, as above", unit="mm", minimum=0.0, maximum=100.0
    )
    spacing_z_mm: float = parameter(
        0.0, "from slice to slice, as above", unit="mm", minimum=0.0, maximum=100.0
    )
    voxels_max: int = parameter(
        67_108_864, "most voxels of a stack", unit="voxels", minimum=1000, maximum=268_435_456
    )
    contrast_share: float = parameter(
        0.35,
        "least density that a void lacks, as a share of that between material and air",
        minimum=0.05,
        maximum=1.0,
    )
    void_mm3: float = parameter(
        0.02, "smaller voids are not looked at", unit="mm³", minimum=0.0, maximum=1e6
    )
    smooth_voxels: float = parameter(
        0.6,
        "standard deviation of the smoothing against noise",
        unit="voxels",
        minimum=0.0,
        maximum=5.0,
    )
    opening_mm: float = parameter(
        0.6,
        "a crack that opens to the outside counts where it is narrower than this",
        unit="mm",
        minimum=0.0,
        maximum=20.0,
    )
    skin_voxels: int = parameter(
        1,
        "outermost layer of the part in which nothing is told from its edge",
        unit="voxels",
        minimum=0,
        maximum=10,
    )
    volume_max_mm3: float = parameter(
        5.0, "a larger void rejects the part", unit="mm³", minimum=0.0, maximum=1e9
    )
    length_max_mm: float = parameter(
        4.0, "a longer void or crack rejects the part", unit="mm", minimum=0.0, maximum=1e5
    )
    crack_sphericity: float = parameter(
        0.55, "a void less round than this is told as a crack", minimum=0.0, maximum=1.0
    )
    cracks_max: int = parameter(0, "more cracks reject the part", minimum=0, maximum=10000)
    voids_max: int = parameter(20, "more voids reject the part", minimum=0, maximum=10000)
    porosity_max: float = parameter(
        0.5, "a larger share of voids in the part rejects it", unit="%", minimum=0.0, maximum=100.0
    )
