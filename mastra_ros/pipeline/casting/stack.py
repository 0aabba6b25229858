"""Stacks of slices as volumes: a folder of pictures, or a DICOM series."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mastra_ros.errors import VolumeError
from mastra_ros.pipeline.volume.grid import Grid, Vector, check_size, check_spacing
from mastra_ros.pipeline.volume.reconstruction import Volume
from mastra_ros.pipeline.volume.surface import needs_medical

Array = NDArray[Any]

PICTURES = {".png", ".tif", ".tiff", ".bmp", ".pgm"}
UNEVEN = 0.02
"""Slices may lie so much, as a share of their distance, off their places."""


def read_stack(
    source: str, *, spacing_mm: Vector = (0.0, 0.0, 0.0), voxels_max: int = 2**26
) -> Volume:
    """`folder:DIR` of slices in the order of the numbers in their names, or `dicom:DIR`.

    spacing_mm: x, y, z; needed for a folder, and not looked at for DICOM, which says it. Raises
    VolumeError for what is missing, of another size, or lies unevenly.
    """
    kind, _, name = source.partition(":")
    folder = Path(name)
    if kind not in ("folder", "dicom") or not name:
        raise VolumeError(f"stack: expected folder:DIR or dicom:DIR, got {source!r:.120}")
    if not folder.is_dir():
        raise VolumeError(f"stack: expected a folder, got {name!r:.120}")
    if kind == "folder":
        return _folder(folder, spacing_mm, voxels_max)
    return _series(folder, voxels_max)


def _folder(folder: Path, spacing_mm: Vector, voxels_max: int) -> Volume:
    check_spacing(spacing_mm)
    paths = [one for one in folder.iterdir() if one.suffix.lower() in PICTURES]
    paths.sort(key=_natural)
    if len(paths) < 2:
        raise VolumeError(f"{folder}: expected at least 2 slices, got {len(paths)}")
    numbers = [number for number in map(_number, paths) if number is not None]
    if len(numbers) == len(paths):
        steps = {b - a for a, b in pairwise(numbers)}
        if len(steps) > 1:
            raise VolumeError(
                f"{folder}: expected slices numbered evenly, got steps of "
                f"{', '.join(map(str, sorted(steps)))}"
            )
    first = _picture(paths[0])
    shape = (len(paths), *first.shape)
    check_size((shape[2], shape[1], shape[0]), spacing_mm, voxels_max)
    values = np.empty(shape, np.float32)
    for place, path in enumerate(paths):
        slice_ = first if place == 0 else _picture(path)
        if slice_.shape != first.shape or slice_.dtype != first.dtype:
            raise VolumeError(
                f"{path.name}: expected {first.dtype} {first.shape} as the first slice, got "
                f"{slice_.dtype} {slice_.shape}"
            )
        values[place] = slice_
    grid = Grid((0.0, 0.0, 0.0), spacing_mm, (shape[2], shape[1], shape[0]))
    return Volume(grid, values, np.ones(shape, np.int8))


def _picture(path: Path) -> Array:
    # By bytes: a file whose name OpenCV cannot open is read all the same.
    picture = cv2.imdecode(
        np.frombuffer(path.read_bytes() or b"\0", np.uint8), cv2.IMREAD_UNCHANGED
    )
    if picture is None:
        raise VolumeError(f"{path.name}: expected a picture, got {path.stat().st_size} bytes")
    if picture.ndim == 3:
        if not (picture[..., 0] == picture[..., 1]).all():
            raise VolumeError(f"{path.name}: expected gray levels, got colours")
        picture = picture[..., 0]
    return np.asarray(picture)


def _series(folder: Path, voxels_max: int) -> Volume:
    """One series: slices by their position along its normal, in Hounsfield units if it says so.

    It may lie in folders below, and beside pictures that are no slices of any series, as scouts.
    """
    found = _slices(folder)
    several = {name: some for name, some in found.items() if len(some) >= 2}
    if len(several) != 1:
        counts = ", ".join(f"{len(some)} of {name}" for name, some in found.items())
        raise VolumeError(
            f"{folder}: expected one series of at least 2 slices, got "
            f"{sum(map(len, found.values()))} slices of {len(found)} series: {counts:.300}"
        )
    ((_, members),) = several.items()
    try:
        return _stacked(folder, members, voxels_max)
    except VolumeError:
        raise
    except Exception as error:  # pydicom and its decoders raise what they like
        text = " ".join(str(error).split())
        raise VolumeError(f"{folder}: cannot be read as a stack: {text:.200}") from error


def _slices(folder: Path) -> dict[str, list[Any]]:
    """Every DICOM picture below a folder that is no scout, by series."""
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ImportError:
        raise needs_medical("pydicom") from None
    found: dict[str, list[Any]] = {}
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        try:
            ds: Any = pydicom.dcmread(path)
        except (InvalidDicomError, OSError):
            continue
        if "PixelData" not in ds or "LOCALIZER" in (ds.get("ImageType") or ()):
            continue
        found.setdefault(str(ds.get("SeriesInstanceUID", "")), []).append(ds)
    return found


def _placed(members: list[Any]) -> list[tuple[float, Any]]:
    """Slices with their places along the normal of the first."""
    slices: list[tuple[float, Any]] = []
    normal = None
    for ds in members:
        name = Path(str(ds.filename)).name
        try:
            ways = np.array([float(one) for one in ds.ImageOrientationPatient]).reshape(2, 3)
            place = np.array([float(one) for one in ds.ImagePositionPatient])
        except (AttributeError, TypeError, ValueError) as error:
            raise VolumeError(f"{name}: expected place and series, got {error!s:.80}") from None
        if normal is None:
            normal = np.cross(ways[0], ways[1])
        if abs(float(np.cross(ways[0], ways[1]) @ normal)) < 0.9999:
            raise VolumeError(f"{name}: expected slices that are parallel")
        slices.append((float(place @ normal), ds))
    return slices


def _stacked(folder: Path, members: list[Any], voxels_max: int) -> Volume:
    slices = _placed(members)
    slices.sort(key=lambda one: one[0])
    places = np.array([place for place, _ in slices])
    step = float(np.diff(places).mean())
    if step <= 0 or np.abs(np.diff(places) - step).max() > UNEVEN * step:
        raise VolumeError(
            f"{folder}: expected slices evenly apart, got "
            f"{np.diff(places).min():.3f} to {np.diff(places).max():.3f} mm"
        )
    first = slices[0][1]
    sides = [tuple(float(one) for one in ds.PixelSpacing) for _, ds in slices]
    if len(set(sides)) != 1:
        raise VolumeError(
            f"{folder}: expected pixels of one size, got {len(set(sides))} of {min(sides)} to "
            f"{max(sides)} mm"
        )
    down, across = sides[0]
    spacing = (across, down, step)
    shape = (len(slices), int(first.Rows), int(first.Columns))
    check_spacing(spacing)
    check_size((shape[2], shape[1], shape[0]), spacing, voxels_max)
    values = np.empty(shape, np.float32)
    for number, (_, ds) in enumerate(slices):
        if (int(ds.Rows), int(ds.Columns)) != shape[1:]:
            raise VolumeError(f"{folder}: expected slices of {shape[1:]}, got one of another size")
        slope, intercept = ds.get("RescaleSlope", 1.0), ds.get("RescaleIntercept", 0.0)
        values[number] = ds.pixel_array * float(slope) + float(intercept)
    # The axes of the volume are those of the slices: rows, columns, and the way through them.
    grid = Grid((0.0, 0.0, 0.0), spacing, (shape[2], shape[1], shape[0]))
    return Volume(grid, values, np.ones(shape, np.int8))


def _number(path: Path) -> int | None:
    found = re.findall(r"\d+", path.stem)
    return int(found[-1]) if found else None


def _natural(path: Path) -> list[Any]:
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]
