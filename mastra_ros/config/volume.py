"""The parameters of volumes: of the gateway's half of `ultrasound`."""

from __future__ import annotations

from dataclasses import dataclass

from .parameter import parameter


@dataclass(frozen=True)
class VolumeConfig:
    """How a sweep becomes a volume, and what is looked for in it."""

    spacing_mm: float = parameter(
        0.5,
        "edge of a voxel; made larger where there would be too many",
        unit="mm",
        minimum=0.05,
        maximum=10.0,
    )
    voxels_max: int = parameter(
        8_388_608,
        "most voxels of a volume, at 8 bytes each",
        unit="voxels",
        minimum=1000,
        maximum=268_435_456,
    )
    compounding: str = parameter(
        "mean", "what becomes of several pixels in a voxel", choices=("mean", "latest", "maximum")
    )
    distribution: str = parameter(
        "nearest",
        "nearest: a pixel goes into one voxel; linear: over the eight around it",
        choices=("nearest", "linear"),
    )
    fill_voxels: int = parameter(
        9,
        "longest gap between known voxels that is filled, both ends counted; 0 fills none",
        unit="voxels",
        minimum=0,
        maximum=65,
    )
    contrast: float = parameter(
        40.0,
        "least difference of a structure from its surroundings",
        unit="gray levels",
        minimum=1.0,
        maximum=255.0,
    )
    structure_ml: float = parameter(
        0.05, "least volume of a structure", unit="ml", minimum=0.0, maximum=1000.0
    )
    smooth_mm: float = parameter(
        0.6,
        "standard deviation of the smoothing against speckle",
        unit="mm",
        minimum=0.0,
        maximum=10.0,
    )
    gap_mm: float = parameter(
        1.0,
        "neighbouring frames farther apart than this leave a gap",
        unit="mm",
        minimum=0.05,
        maximum=50.0,
    )
    speed_max_mm_s: float = parameter(
        30.0, "a faster sweep is said to be too fast", unit="mm/s", minimum=0.1, maximum=1000.0
    )
    feedback_frames: int = parameter(
        10,
        "how the sweep goes is told every so many frames",
        unit="frames",
        minimum=1,
        maximum=1000,
    )
    faces_max: int = parameter(
        20_000,
        "faces of all surfaces together that are sent to be drawn",
        unit="faces",
        minimum=200,
        maximum=2_000_000,
    )
    dicom_frames_max: int = parameter(
        64, "frames in the DICOM image, evenly chosen", unit="frames", minimum=1, maximum=1000
    )
    archive: str = parameter(
        "", "where DICOM objects are stored: TITLE@HOST:PORT; empty stores none"
    )
