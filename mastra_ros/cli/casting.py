"""`mastra casting`: voids in a stack of CT slices, and whether the part passes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..config import CastingConfig, read_own_file
from ..errors import ConfigError
from ..pipeline.casting.stack import read_stack
from ..pipeline.casting.voids import CastingVerdict, inspect_casting
from ..pipeline.volume.cargo import nrrd
from ..pipeline.volume.slices import png, three_slices

HELP = """\
Read a stack of CT slices, find voids and cracks in the part that it shows, and judge
them by the limits of a parameter file (see config/volumes/casting.yaml). The report
names every void with place, size and sphericity. Status 0: it passes; 3: it does not."""
EXAMPLE = "mastra casting folder:part-17/ --params config/volumes/casting.yaml --out part-17.json"
REJECTED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("stack", help="folder:DIR of pictures, or dicom:DIR of one series")
    parser.add_argument("--params", type=Path, metavar="FILE", help="limits, as YAML")
    parser.add_argument("--out", type=Path, metavar="JSON", help="write the report here")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="slices through the largest")
    parser.add_argument("--nrrd", type=Path, metavar="NRRD", help="the stack as a volume of bytes")


def run(args: argparse.Namespace) -> int:
    """Inspect one part."""
    config = CastingConfig() if args.params is None else read_own_file(CastingConfig, args.params)
    spacing = (config.spacing_x_mm, config.spacing_y_mm, config.spacing_z_mm)
    volume = read_stack(args.stack, spacing_mm=spacing, voxels_max=config.voxels_max)
    told = inspect_casting(volume, config)
    try:
        if args.out:
            args.out.write_text(json.dumps(told.to_dict(), indent=2) + "\n", encoding="utf-8")
        note = f"{told.verdict}: {'; '.join(told.reasons) or 'within all limits'}"
        if args.picture:
            args.picture.write_bytes(png(three_slices(volume, told.shapes, note)))
        if args.nrrd:
            args.nrrd.write_bytes(nrrd(volume, note))
    except OSError as error:
        raise ConfigError(f"cannot be written: {error}") from None
    print(_words(told))
    return 0 if told.verdict == "pass" else REJECTED


def _words(told: CastingVerdict) -> str:
    lines = [
        f"{told.verdict}: {'; '.join(told.reasons) or 'within all limits'}",
        f"part of {told.part_ml:.2f} ml, porosity {told.porosity:.3f} %, {len(told.voids)} voids",
    ]
    for one in told.voids[:20]:
        x, y, z = one.centre_mm
        lines.append(
            f"  {one.kind} of {one.volume_mm3:.2f} mm³ at {x:.1f}, {y:.1f}, {z:.1f} mm, "
            f"{one.length_mm:.1f} mm long, sphericity {one.sphericity:.2f}"
        )
    if len(told.voids) > 20:
        lines.append(f"  and {len(told.voids) - 20} more")
    return "\n".join(lines)
