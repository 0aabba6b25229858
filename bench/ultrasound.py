"""Tracked ultrasound: against PLUS's own files, drawn truth, the clock, and what may leave.

    python -m bench.ultrasound [--only PART,PART] [--seeds 10] [--seconds 10] [--sweeps 3]
                               [--out bench/results/ultrasound.json] [--picture FILE]

plus       PLUS's two volumes, each by its own parameters, voxel by voxel
scan       lines of echoes of a curved probe against the pictures that PLUS makes of them
lag        of the water tank's recording against PLUS's own
privacy    the burned-in name of a hospital: pixels outside the region that would leave, and pixels
           inside that would be changed, after gate and codec
phantom    volume and surface of bodies whose shape is known: clean, with noise of the poses, with
           half of the frames, and with a lag that nobody has corrected, which has to be seen
castings   voids in drawn castings: volume and place
speed      frames of 820 x 616 px into a volume, on one core
draw       time to draw one live picture of 640 x 480, on one core
end_to_end from the last frame of a sweep until volume, mesh and report are on the device: a gateway
           and a bridge over loopback
live       `mastra run medical_ultrasound` on one core, 640 x 480 at 30 frames a second: age of the
           live picture alone, and while the sweep goes up over 10 Mbit/s

Parts that are not measured stay as they are in the file. Parts that need the recordings are left
out, and said to be, where MASTRA_DATA has none.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import bench.pinned  # noqa: F401
from bench import ultrasound_live as device
from bench import ultrasound_volume as cloud
from bench.bars import RESULTS, Result, judged

NAME = "ultrasound"
PARTS = (
    *("plus", "scan", "lag", "privacy", "phantom", "castings"),
    *("speed", "draw", "end_to_end", "live"),
)
RECORDED = ("plus", "scan", "lag", "privacy")


def parts(data: Path | None, args: argparse.Namespace) -> dict[str, Callable[[], Result]]:
    """How each part is measured; those without their recordings are not among them."""
    found: dict[str, Callable[[], Result]] = {
        "phantom": lambda: cloud.phantoms(args.seeds),
        "castings": lambda: cloud.castings(args.seeds),
        "speed": lambda: cloud.speed(data),
        "draw": device.draw,
        "end_to_end": lambda: cloud.end_to_end(args.sweeps),
        "live": lambda: device.live(args.seconds),
    }
    if data is not None:
        folder = data / "ultrasound"
        found |= {
            "plus": lambda: cloud.against_plus(data),
            "scan": lambda: device.scan(folder),
            "lag": lambda: device.lag(folder),
            "privacy": lambda: device.privacy(folder),
        }
    return found


def main() -> None:
    """Measure, print, and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), metavar="PART,PART")
    parser.add_argument("--seeds", type=int, default=10, help="phantoms and castings")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each live run")
    parser.add_argument("--sweeps", type=int, default=3, help="from the last frame to the report")
    parser.add_argument("--out", type=Path, default=RESULTS / f"{NAME}.json")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="slices of a phantom, PNG")
    args = parser.parse_args()
    wanted = args.only.split(",")
    if unknown := [name for name in wanted if name not in PARTS]:
        parser.error(f"--only: expected {', '.join(PARTS)}; got {', '.join(unknown)}")
    folder = Path(os.environ.get("MASTRA_DATA", ""))
    data = folder if os.environ.get("MASTRA_DATA") and (folder / "ultrasound").is_dir() else None
    result: Result = json.loads(args.out.read_text("utf-8")) if args.out.exists() else {}
    known = parts(data, args)
    for name in wanted:
        if name not in known:
            print(f"{name}: left out, MASTRA_DATA has no ultrasound")
            continue
        began = time.perf_counter()
        result[name] = known[name]()
        print(f"{name}: measured in {time.perf_counter() - began:.0f} s", flush=True)
    result["machine"] = {"cores": os.cpu_count(), "processor": platform.machine()}
    result = judged(NAME, result)
    for bar in result["bars"]:
        print("holds" if bar["holds"] else "MISSED", bar["name"], bar["bar"], "got", bar["value"])
    args.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if args.picture:
        cloud.draw_slices(args.picture)


if __name__ == "__main__":
    main()
