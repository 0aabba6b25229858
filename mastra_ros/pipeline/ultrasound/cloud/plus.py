"""Recorded sweeps of PLUS as volumes, by the options of PLUS's own configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mastra_ros.errors import VolumeError
from mastra_ros.pipeline.ultrasound.calibration import Calibration
from mastra_ros.pipeline.ultrasound.metafile import Metafile
from mastra_ros.pipeline.ultrasound.upright import along_lines, upright
from mastra_ros.pipeline.ultrasound.ways import way
from mastra_ros.pipeline.volume.compatible import Clip, compatible
from mastra_ros.pipeline.volume.grid import Grid, corners_mm, plan
from mastra_ros.pipeline.volume.holes import filled
from mastra_ros.pipeline.volume.reconstruction import Reconstruction, Volume

Array = NDArray[Any]
Tracked = list[tuple[NDArray[np.uint8], Array]]

SIX_DIGITS_MM = 2e-3
WHOLE = (0.0, 0.0, float(2**20), float(2**20))
FAN = {"FanOriginPixel": "0 0", "FanRadiusStartPixel": "0", "FanRadiusStopPixel": "500"}
"""What PLUS takes where a fan has angles and no more."""
COMPOUNDING = {"MEAN": "mean", "LATEST": "latest", "MAXIMUM": "maximum"}
DISTRIBUTION = {"NEAREST_NEIGHBOR": "nearest", "LINEAR": "linear"}


@dataclass(frozen=True)
class PlusOptions:
    """What a VolumeReconstruction element says. stick: 0 fills no holes."""

    spacing_mm: tuple[float, float, float]
    clip: Clip
    compounding: str
    distribution: str
    stick: int
    skip: int

    @classmethod
    def of(cls, told: Mapping[str, str]) -> PlusOptions:
        """Of attributes by name. VolumeError for what is missing, or what we cannot do."""
        x, y, z = _floats(told, "OutputSpacing", 3)
        rectangle = WHOLE
        if "ClipRectangleSize" in told:
            wide, high = _floats(told, "ClipRectangleSize", 2)
            if wide and high:  # 0 0 is the whole picture
                left, top = _floats(told, "ClipRectangleOrigin", 2)
                rectangle = (left, top, wide, high)
        clip = Clip(rectangle)
        start, stop = _floats({"FanAnglesDeg": "0 0", **told}, "FanAnglesDeg", 2)
        if (start, stop) != (0.0, 0.0):
            usual = {**FAN, **told}
            across, down = _floats(usual, "FanOriginPixel", 2)
            near = _floats(usual, "FanRadiusStartPixel", 1)[0]
            far = _floats(usual, "FanRadiusStopPixel", 1)[0]
            clip = Clip(rectangle, (start, stop), (across, down), (near, far))
        for name in ("PixelRejectionThreshold", "EnableFanAnglesAutoDetect"):
            if told.get(name, "FALSE").upper() != "FALSE":
                raise VolumeError(f"PLUS: {name} is not done here, got {told[name]!r:.40}")
        stick = 0
        if told.get("FillHoles", "OFF").upper() == "ON":
            kind = told.get("HoleFilling.Type", "")
            sticks = told.get("HoleFilling.NumberOfSticksToUse", "1")
            if kind != "STICK" or sticks != "1":
                raise VolumeError(f"PLUS: expected holes filled by 1 STICK, got {sticks} {kind!r}")
            stick = int(_floats(told, "HoleFilling.StickLengthLimit", 1)[0])
        return cls(
            (x, y, z),
            clip,
            _one_of(told, "CompoundingMode", COMPOUNDING),
            _one_of(told, "Interpolation", DISTRIBUTION),
            stick,
            max(1, int(told.get("SkipInterval", "1"))),
        )


def tracked(
    recording: Metafile, calibration: Calibration, reference: str, image: str = "Image"
) -> Tracked:
    """Every picture whose place is known, with its (4, 4) from px to mm of a reference by name.

    image: the frame of the pictures, as the calibration calls it. VolumeError where there is none,
    or no way from there to the reference, or where pictures are lines of echoes.
    """
    if along_lines(recording.orientation):
        raise VolumeError(
            f"{recording.path}: expected pictures, got lines of echoes (orientation "
            f"{recording.orientation}), which have to be scan-converted first"
        )
    fixed = {name: np.array(one).reshape(4, 4) for name, one in calibration.transforms.items()}
    names = recording.transforms()
    found = []
    for number, picture in enumerate(recording.pictures()):
        if not recording.has_picture(number):
            continue
        known = dict(fixed)
        for name in names:
            one = recording.transform(number, name)
            if one is not None:
                known[name] = one
        pose = way(known, image, reference)
        if pose is not None:
            found.append((upright(picture, recording.orientation), pose))
    if not found:
        raise VolumeError(
            f"{recording.path}: expected a way from {image} to {reference}, got "
            f"{', '.join([*fixed, *names]) or 'no transforms'}"
        )
    return found


def as_plus(frames: Tracked, options: PlusOptions, wanted: Metafile | None = None) -> Volume:
    """The volume that PLUS makes, bit by bit; wanted: one by PLUS, whose grid it shall have."""
    if options.distribution != "nearest":
        raise VolumeError("PLUS: only nearest neighbour is done bit by bit, got LINEAR")
    height, width = frames[0][0].shape
    grid = _planned(frames, options) if wanted is None else _grid_like(frames, options, wanted)
    mask = options.clip.mask(width, height)
    made = compatible(frames[:: options.skip], grid, mask, compounding=options.compounding)
    return filled(made, options.stick, as_integers=True) if options.stick else made


def as_ours(frames: Tracked, options: PlusOptions) -> Volume:
    """The better volume of the same frames: double precision, and no mean of integers."""
    height, width = frames[0][0].shape
    grid = _planned(frames, options)
    volume = Reconstruction(
        options.spacing_mm,
        compounding=options.compounding,
        distribution=options.distribution,
        anchor_mm=grid.origin_mm,
    )
    mask = options.clip.mask(width, height)
    for number, (picture, pose) in enumerate(frames[:: options.skip]):
        volume.add(picture, pose, seq=number, mask=mask)
    made = volume.volume()
    return filled(made, options.stick) if options.stick else made


def _grid_like(frames: Tracked, options: PlusOptions, wanted: Metafile) -> Grid:
    """That of a volume by PLUS. A file tells its origin in six digits only, so it is planned
    anew, as one version of PLUS or another does; of a grid of nobody's the file's origin counts."""
    x, y, z = wanted.offset_mm
    told = Grid((x, y, z), options.spacing_mm, wanted.size)
    low = np.concatenate(_corners(frames, options)).min(0)
    spacing = np.asarray(options.spacing_mm)
    for origin in (low, np.floor(low / spacing) * spacing):
        if np.abs(origin - told.origin_mm).max() < SIX_DIGITS_MM:
            a, b, c = (float(one) for one in origin)
            return Grid((a, b, c), options.spacing_mm, wanted.size)
    return told


def _planned(frames: Tracked, options: PlusOptions) -> Grid:
    return plan(_corners(frames, options), options.spacing_mm)


def _corners(frames: Tracked, options: PlusOptions) -> list[Array]:
    height, width = frames[0][0].shape
    box = options.clip.box(width, height)
    return [corners_mm(pose, box) for _, pose in frames]


def _floats(told: Mapping[str, str], name: str, count: int) -> list[float]:
    try:
        values = [float(one) for one in told[name].split()]
    except (KeyError, ValueError):
        values = []
    if len(values) != count or not np.isfinite(values).all():
        raise VolumeError(f"PLUS: {name}: expected {count} numbers, got {told.get(name)!r:.60}")
    return values


def _one_of(told: Mapping[str, str], name: str, known: Mapping[str, str]) -> str:
    value = told.get(name, "").upper()
    if value not in known:
        raise VolumeError(f"PLUS: {name}: expected {', '.join(known)}, got {value!r:.40}")
    return known[value]
