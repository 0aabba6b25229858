"""`mastra ultrasound`: the lag of pictures against poses, and doubtful recordings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import DataError
from ..pipeline.ultrasound.banner import BANNER
from ..pipeline.ultrasound.calibration import read_calibration
from ..pipeline.ultrasound.checks import calibration_problems
from ..pipeline.ultrasound.lag import lag_of_files
from ..pipeline.ultrasound.metafile import read_metafile
from ..pipeline.ultrasound.opening import open_source
from .output import check_output, write_json
from .ultrasound_volume import add_volume_arguments, volume

HELP = """\
Measure and check what tracked ultrasound rests on.
lag: by how much pictures are stamped later than the poses that fit them, of a
recording in which the probe goes up and down over the bottom of a water tank.
check: what is doubtful about a recording and a calibration, with numbers.
volume: the volume of a recorded sweep by PLUS's own options; with --against, how many
of its voxels are those of PLUS's volume."""
EXAMPLE = "mastra ultrasound lag water_tank.igs.mha --poses tracker.igs.mha"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=("lag", "check", "volume"), help="what to do")
    parser.add_argument("recording", type=Path, metavar="FILE.igs.mha", help="PLUS sequence")
    parser.add_argument("--poses", type=Path, metavar="FILE", help="poses, if in a file of its own")
    parser.add_argument("--tool", default="Probe", help="what is tracked (default Probe)")
    parser.add_argument("--calibration", type=Path, metavar="FILE", help="PLUS XML or YAML")
    add_volume_arguments(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Exit status 0 where the lag is known, or nothing is doubtful."""
    check_output(args.json, "--json")
    told = {"lag": _lag, "check": _check, "volume": volume}[args.action](args)
    if args.json:
        write_json(args.json, {"banner": BANNER, **told})
    print(BANNER)
    return 1 if told.get("problems") else 0


def _lag(args: argparse.Namespace) -> dict[str, Any]:
    pictures = read_metafile(args.recording)
    poses = read_metafile(args.poses) if args.poses else pictures
    if pictures.size[0] * pictures.size[1] == 0:
        raise DataError(f"{args.recording}: expected pictures, got poses alone")
    lag = lag_of_files(pictures, poses, f"{args.tool}ToTracker")
    print(
        f"pictures are stamped {lag.lag_ms:.1f} ms later than the poses that fit them: set "
        f"ultrasound.lag_ms to {lag.lag_ms:.1f}\n"
        f"as PLUS tells it (the tracker's lag): {lag.plus_ms:.1f} ms\n"
        f"agreement {lag.agreement:.3f} of {lag.pictures} pictures and {lag.poses} poses over "
        f"{lag.motion_mm:.1f} mm"
    )
    return {
        "lag_ms": round(lag.lag_ms, 2),
        "plus_ms": round(lag.plus_ms, 2),
        "agreement": round(lag.agreement, 4),
        "pictures": lag.pictures,
        "poses": lag.poses,
        "motion_mm": round(lag.motion_mm, 2),
    }


def _check(args: argparse.Namespace) -> dict[str, Any]:
    poses = f"&poses={quote(str(args.poses))}" if args.poses else ""
    header = read_metafile(args.recording)
    problems: list[str] = []
    if header.orientation.startswith(("F", "N")):
        print(f"{args.recording}: lines of echoes, {header.size[1]} of {header.size[0]} samples")
    else:
        source = open_source(f"igs:{args.recording}?tool={quote(args.tool)}{poses}")
        problems += source.notes
    if args.calibration:
        calibration = read_calibration(args.calibration)
        problems += [f"calibration: {p}" for p in calibration_problems(calibration.matrix)]
        x, y = calibration.spacing_mm
        print(f"calibration {calibration.digest}: {x:.4f} x {y:.4f} mm a pixel")
        if calibration.region is None:
            problems.append("calibration: no clip rectangle or fan, so nothing would leave")
    width, height, frames = header.size
    print(f"{frames} frames of {width}x{height} px, orientation {header.orientation or 'not said'}")
    for problem in problems:
        print(f"  {problem}")
    if not problems:
        print("  nothing is doubtful")
    return {"frames": frames, "width_px": width, "height_px": height, "problems": problems}
