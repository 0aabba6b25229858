"""`mastra ultrasound volume`: a recorded sweep of PLUS as a volume."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..pipeline.ultrasound.banner import BANNER
from ..pipeline.ultrasound.calibration import read_calibration
from ..pipeline.ultrasound.cloud.plus import PlusOptions, as_ours, as_plus, tracked
from ..pipeline.ultrasound.metafile import read_metafile
from ..pipeline.volume.cargo import nrrd


def add_volume_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of it."""
    parser.add_argument(
        "--reference", help="frame of the volume; default: as the configuration says, or Reference"
    )
    parser.add_argument("--out", type=Path, metavar="NRRD", help="write the volume here (volume)")
    parser.add_argument(
        "--compatible", action="store_true", help="compute as PLUS does, bit by bit (volume)"
    )
    parser.add_argument(
        "--against", type=Path, metavar="FILE.mha", help="compare with PLUS's volume (volume)"
    )


def volume(args: argparse.Namespace) -> dict[str, Any]:
    """Make it, write it, compare it."""
    if args.calibration is None:
        raise ConfigError("volume: expected --calibration, PLUS XML with VolumeReconstruction")
    calibration = read_calibration(args.calibration)
    options = PlusOptions.of(calibration.options)
    told = calibration.options
    reference = args.reference or told.get("ReferenceCoordinateFrame", "Reference")
    image = told.get("ImageCoordinateFrame", "Image")
    frames = tracked(read_metafile(args.recording), calibration, reference, image)
    against = read_metafile(args.against) if args.against else None
    if args.compatible or against is not None:
        made = as_plus(frames, options, against)
    else:
        made = as_ours(frames, options)
    x, y, z = made.grid.size
    print(f"{len(frames)} frames, {x} x {y} x {z} voxels of {options.spacing_mm[0]:g} mm")
    result: dict[str, Any] = {"frames": len(frames), "size": [x, y, z]}
    if against is not None:
        theirs = against.volume()
        if theirs.shape != made.values.shape:
            raise ConfigError(f"--against: expected {made.values.shape}, got {theirs.shape}")
        same = float(np.mean(made.values == theirs))
        print(f"{same:.4%} of the voxels are those of {args.against}")
        result["identical"] = same
    if args.out:
        try:
            args.out.write_bytes(nrrd(made, BANNER))
        except OSError as error:
            raise ConfigError(f"--out: cannot be written: {error}") from None
    return result
