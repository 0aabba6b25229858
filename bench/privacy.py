"""What the finders of the stage privacy find, what that costs, and what can still be read.

    python -m bench.privacy [--parts recall|cost|plates,faces,…] [--placements N] [--out FILE]

The parts plates, faces, reading, video and bands (`--parts recall`) do not depend on how busy the
machine is; cost does. Needs MASTRA_DATA, and the default finders (`make setup`). The optional ones
are taken where they are: `mastra model get yunet` and `plates`, or --models FOLDER of those. A part
that is not run keeps what the file in bench/results/ says of it, with the day and the model of its
run; a note on a part goes when all of that part is run. Parts that were measured with finders that
are not here are refused. Reading needs the recogniser of module plate_reader.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from bench.bars import RESULTS, judged
from bench.plate_reader import PlateReader, plain
from bench.privacy_bands import of_bands
from bench.privacy_parts import entered, missing, run_of
from bench.privacy_pictures import (
    Image,
    Truth,
    carried,
    covered,
    faces,
    interval,
    placements,
    plate_of_width,
    plates,
    street,
)
from mastra_ros.config import PrivacyConfig
from mastra_ros.errors import ModelError
from mastra_ros.privacy import Finder, Region, mask_of
from mastra_ros.privacy.finders import ALL, DEFAULT, FINDERS, PacedFinders
from mastra_ros.privacy.hide import hide_inside
from mastra_ros.privacy.tracks import Tracks

PLATE_PX = (32, 40, 48, 64)
FACE_PX = (8, 12, 16, 24, 32, 48, 64)
PLATE_SHARE, FACE_SHARE = 0.9, 0.8
"""What of a plate's width, and of a face's area, has to lie under a mask."""
READING_PX = 112
"""Plates are read at this width, or at their own where it is smaller."""
VIDEO_FRAMES = 200
RECALL = ("plates", "faces", "reading", "video", "bands")
GROUPS = {"all": (*RECALL, "cost"), "recall": RECALL}
SIZES = {"vga": (640, 480), "720p": (1280, 720)}

Result = dict[str, Any]


class Bench:
    """The finders that there are, and the boxes of each on a picture, widened as the gate does."""

    def __init__(self, models: str) -> None:
        self.config = PrivacyConfig(models_dir=models)
        self.finders: dict[str, Finder] = {}
        for name in ALL:
            if (finder := self._opened(name)) is not None:
                self.finders[name] = finder
        self.sets = {"default": DEFAULT, "all": tuple(self.finders)}

    def _opened(self, name: str) -> Finder | None:
        try:
            return FINDERS[name](self.config)
        except ModelError as error:
            print(f"without {name}: {error}", file=sys.stderr)
            return None

    def masks(self, image: Image, *, without: str = "") -> dict[str, list[Region]]:
        """By set of finders, so that each network runs once a picture."""
        used = {name: finder for name, finder in self.finders.items() if name != without}
        found = {name: finder.find(image) for name, finder in used.items()}
        widen = self.config.widen
        return {
            name: [mask_of(r, widen) for one in names if one in found for r in found[one]]
            for name, names in self.sets.items()
        }


class Tally:
    """Hits, and areas, of one size by set of finders."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.hits = dict.fromkeys(names, 0)
        self.areas: dict[str, list[float]] = {name: [] for name in names}
        self.shares: dict[str, list[float]] = {name: [] for name in names}
        self.count = 0

    def add(
        self, image: Image, truths: list[Truth], masks: dict[str, list[Region]], kind: str
    ) -> None:
        """One picture."""
        self.count += len(truths)
        least = PLATE_SHARE if kind == "plates" else FACE_SHARE
        whole = float(sum(truth.area_px for truth in truths))
        for name, regions in masks.items():
            self.hits[name] += sum(
                covered(truth, regions, by_width=kind == "plates") >= least for truth in truths
            )
            under = _area_px(image, regions)
            self.areas[name].append(under / whole)
            self.shares[name].append(under / (image.shape[0] * image.shape[1]))

    def to_json(self, width_px: int) -> Result:
        """As it is published."""
        told: Result = {"width_px": width_px, "count": self.count}
        for name, hits in self.hits.items():
            told[name] = {
                "recall": round(hits / max(1, self.count), 4),
                "interval": interval(hits, self.count),
                "area_of_truth_median": round(median(self.areas[name]), 2),
                "area_of_truth_mean": round(float(np.mean(self.areas[name])), 2),
                "picture_share_median": round(median(self.shares[name]), 4),
            }
        return told


def _area_px(image: Image, regions: list[Region]) -> float:
    """The area under the masks, what two of them cover counted once."""
    under = hide_inside(np.full(image.shape[:2], 255, np.uint8), regions, "solid", 8)
    return float(np.count_nonzero(under == 0))


def of_plates(bench: Bench, data: Path, widths: list[int]) -> list[Result]:
    """Photographs of cars, made smaller until their plate has each width."""
    names = tuple(bench.sets)
    told = []
    cars = list(plates(data))
    for width in _those(PLATE_PX, widths):
        tally = Tally(names)
        for image, truth in cars:
            if (made := plate_of_width(image, truth, width)) is not None:
                tally.add(made[0], [made[1]], bench.masks(made[0]), "plates")
        told.append(tally.to_json(width))
        print(json.dumps(told[-1]), flush=True)
    return told


def _those(known: tuple[int, ...], wanted: list[int]) -> list[int]:
    return [width for width in known if not wanted or width in wanted]


def of_faces(bench: Bench, data: Path, count: int, widths: list[int]) -> list[Result]:
    """Faces pasted into street frames. The finder of plates alone is left out: it finds none."""
    names = tuple(bench.sets)
    told = []
    frames, heads = street(data, 200), faces(data)
    for width in _those(FACE_PX, widths):
        tally = Tally(names)
        for image, truths in placements(frames, heads, width, count):
            tally.add(image, truths, bench.masks(image, without="plates"), "faces")
        told.append(tally.to_json(width))
        print(json.dumps(told[-1]), flush=True)
    return told


def reading(bench: Bench, data: Path) -> Result:
    """How many plates are read exactly before and after hiding."""
    reader = PlateReader.installed()
    if reader is None:
        print("reading: rapidocr-onnxruntime is not installed", file=sys.stderr)
        return {}
    default = {name: bench.finders[name] for name in DEFAULT}
    told = {"plates": 0, "read_before": 0, "read_after": 0, "masked": 0, "read_of_masked": 0}
    for photograph, there in plates(data):
        made = plate_of_width(photograph, there, READING_PX)
        image, truth = made if made is not None else (photograph, there)
        found = [r for finder in default.values() for r in finder.find(image)]
        regions = [mask_of(r, bench.config.widen) for r in found]
        hidden = hide_inside(image, regions, bench.config.hide, bench.config.blocks)
        inside = covered(truth, regions, by_width=True) >= PLATE_SHARE
        x, y = int(truth.x), int(truth.y)
        place = np.s_[y : y + int(truth.height) + 1, x : x + int(truth.width) + 1]
        before = reader.read(image[place]) == plain(truth.text)
        after = reader.read(hidden[place]) == plain(truth.text)
        told["plates"] += 1
        told["read_before"] += before
        told["read_after"] += after
        told["masked"] += inside
        told["read_of_masked"] += after and inside
    print(json.dumps(told), flush=True)
    return told


def video(bench: Bench, data: Path, frames: int) -> Result:
    """Faces and plates carried along known paths through crossing.mp4: frames without a mask."""
    heads, cars = faces(data), list(plates(data))
    paced = PacedFinders([bench.finders[name] for name in DEFAULT])
    tracks = Tracks(bench.config.hold_frames)
    gaps: dict[str, int] = {}
    shares, spent = [], []
    for number, image in enumerate(street(data, frames, SIZES["720p"])):
        there = carried(image, number, heads, cars)
        began = time.perf_counter()
        found = [mask_of(r, bench.config.widen) for r in paced.find(image)]
        spent.append((time.perf_counter() - began) * 1e3)
        masks = tracks.advance(found)
        shares.append(_area_px(image, masks) / (image.shape[0] * image.shape[1]))
        for name, truth in there.items():
            plate = name.startswith("plate")
            least = PLATE_SHARE if plate else FACE_SHARE
            gaps.setdefault(name, 0)
            gaps[name] += covered(truth, masks, by_width=plate) < least
    told = {
        "frames": len(spent),
        "frames_uncovered": gaps,
        "picture_share_median": round(median(shares), 4),
    }
    print(json.dumps(told), flush=True)
    return told


def cost(bench: Bench, data: Path, frames: int) -> Result:
    """Milliseconds on one core: a full search, over a busy junction, a road, a still scene."""
    cv2.setNumThreads(1)
    told: Result = {}
    default = [bench.finders[name] for name in DEFAULT]

    def some(image: Image) -> None:
        for finder in default:
            finder.find(image)

    def every(image: Image) -> None:
        for finder in bench.finders.values():
            finder.find(image)

    for name, size in SIZES.items():
        images = street(data, frames, size)
        paced = PacedFinders(default)
        told[name] = {
            "full_ms": _timed(some, images[:10]),
            "full_all_ms": _timed(every, images[:6]),
            "street_ms": _timed(paced.find, images),
            "road_ms": _timed(paced.find, street(data, 2 * frames, size, "car-detection")),
            "still_ms": _timed(paced.find, [images[0]] * 60),
        }
        print(name, json.dumps(told[name]), flush=True)
    return told


def _timed(find: Callable[[Image], Any], images: list[Image]) -> Result:
    find(images[0])
    spent = []
    for image in images[1:]:
        began = time.perf_counter()
        find(image)
        spent.append((time.perf_counter() - began) * 1e3)
    p50, p99 = np.percentile(spent, [50, 99])
    return {"p50": round(float(p50), 1), "p99": round(float(p99), 1), "frames": len(spent)}


def main() -> int:
    """Measure and write the result; status 2 without the data."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", default="all", help="all, recall, or names of parts")
    parser.add_argument("--widths", default="", help="of plates and faces: only these, px")
    parser.add_argument("--placements", type=int, default=1000, help="faces of each size")
    parser.add_argument("--frames", type=int, default=VIDEO_FRAMES)
    parser.add_argument("--models", default="", help="folder that `mastra model get` filled")
    parser.add_argument("--out", type=Path, default=RESULTS / "privacy.json")
    options = parser.parse_args()
    if "MASTRA_DATA" not in os.environ:
        print("bench.privacy: MASTRA_DATA is not set", file=sys.stderr)
        return 2
    data = Path(os.environ["MASTRA_DATA"])
    bench = Bench(options.models)
    told: Result = {}
    if options.out.exists():
        told = json.loads(options.out.read_text("utf-8"))
    wanted = GROUPS.get(options.parts) or tuple(options.parts.split(","))
    if lost := missing(told, bench.sets["all"], wanted):
        print(
            f"bench.privacy: {options.out} was measured with {', '.join(lost)} too, which "
            "`mastra model get` brings; or take another --out",
            file=sys.stderr,
        )
        return 2
    told["finders"] = {name: list(names) for name, names in bench.sets.items()}
    widths = [int(width) for width in options.widths.split(",") if width]
    parts: dict[str, Callable[[], Any]] = {
        "plates": lambda: of_plates(bench, data, widths),
        "faces": lambda: of_faces(bench, data, options.placements, widths),
        "reading": lambda: reading(bench, data),
        "video": lambda: video(bench, data, options.frames),
        "bands": lambda: of_bands(
            [bench.finders[name] for name in DEFAULT], data, bench.config, options.frames
        ),
        "cost": lambda: cost(bench, data, options.frames),
    }
    run = run_of(bench.finders["plates_and_heads"])
    for name in wanted:
        told = entered(told, name, parts[name](), run, whole=not widths)
        options.out.write_text(json.dumps(judged("privacy", told), indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
