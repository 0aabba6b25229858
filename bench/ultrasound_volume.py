"""Volumes of sweeps: against PLUS's own, on drawn phantoms, how fast, and until a report is there.

The parts `plus`, `phantom`, `speed`, `castings` and `end_to_end` of `python -m bench.ultrasound`.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.bars import Result
from bench.ultrasound_bars import PHANTOMS
from bench.ultrasound_loopback import over_loopback
from mastra_ros.config import VolumeConfig
from mastra_ros.pipeline.casting.drawn import CRACK, VOIDS, drawn_casting
from mastra_ros.pipeline.casting.voids import inspect_casting
from mastra_ros.pipeline.ultrasound.banner import BANNER
from mastra_ros.pipeline.ultrasound.cloud.products import products, warm_up
from mastra_ros.pipeline.ultrasound.cloud.sweep_volume import Finished, SweepVolume
from mastra_ros.pipeline.ultrasound.metafile import read_metafile
from mastra_ros.pipeline.ultrasound.phantom import Phantom, PhantomConfig
from mastra_ros.pipeline.ultrasound.phantom_shapes import Body
from mastra_ros.pipeline.ultrasound.region import Region
from mastra_ros.pipeline.ultrasound.sweep import SweepEnd, TrackedFrame
from mastra_ros.pipeline.volume.compatible import Clip, compatible
from mastra_ros.pipeline.volume.grid import corners_mm, plan
from mastra_ros.pipeline.volume.holes import filled
from mastra_ros.pipeline.volume.reconstruction import Reconstruction
from mastra_ros.pipeline.volume.slices import three_slices
from mastra_ros.pipeline.volume.structures import Structure

Array = NDArray[Any]

SPACING = (0.5, 0.5, 0.5)
BEGAN_NS = 1_760_000_000_000_000_000
CALIBRATION = [
    [-0.00157821, 0.0785919, -0.00803285, 15.3978],
    [-0.0839128, 0.00372697, 0.0153803, 49.5705],
    [0.0159024, 0.00714276, 0.0803604, -8.63446],
    [0, 0, 0, 1],
]
"""Image to probe, as both PLUS configurations say."""
CLIPS = {
    "NNMEAN": ("mean", Clip((0, 0, 820, 616))),
    "NNLATE": ("latest", Clip((192, 16, 420, 580), (-45.0, 45.0), (380.0, 20.0), (120.0, 360.0))),
}
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"pose_noise_mm": 0.5, "pose_noise_deg": 0.5},
    {"drop_share": 0.5},
    {"lag_ms": 65.0},
)
"""Of the phantoms, in their order."""


def spine(data: Path) -> list[tuple[Array, Array]]:
    """Pictures of the tracked sweep over a spine phantom, and px to mm of the reference."""
    found = read_metafile(data / "ultrasound" / "SpinePhantomFreehand.igs.mha")
    frames = []
    for number, picture in enumerate(found.pictures()):
        probe = found.transform(number, "ProbeToTracker")
        reference = found.transform(number, "ReferenceToTracker")
        assert probe is not None
        assert reference is not None
        frames.append((picture, np.linalg.inv(reference) @ probe @ np.array(CALIBRATION)))
    return frames


def against_plus(data: Path) -> Result:
    """Both references: in PLUS's arithmetic, with double positions, and our own mean."""
    frames = spine(data)
    told: Result = {}
    for name, (compounding, clip) in CLIPS.items():
        path = data / "ultrasound" / f"vtkVolumeReconstructorTest{name}volumeRef.mha"
        wanted = read_metafile(path).volume().astype(np.float64)
        mask, box = clip.mask(820, 616), clip.box(820, 616)
        grid = plan([corners_mm(pose, box) for _, pose in frames], SPACING)
        fill = name == "NNMEAN"
        row: Result = {"size": list(grid.size)}
        for label, double in (("compatible", False), ("double", True)):
            made = compatible(frames, grid, mask, compounding=compounding, double=double)
            if fill:
                made = filled(made, 9, as_integers=True)
            row[label] = compared(made.values, wanted)
        own = Reconstruction(SPACING, compounding=compounding, anchor_mm=grid.origin_mm)
        own.reserve(np.concatenate([corners_mm(pose, box) for _, pose in frames]))
        for number, (picture, pose) in enumerate(frames):
            own.add(picture, pose, seq=number, mask=mask)
        volume = own.volume()
        known = volume.known
        row["own"] = compared(volume.values[known], wanted[known])
        told[name] = row
    return told


def compared(made: Array, wanted: Array) -> Result:
    """Share of the same voxels, correlation and difference of the means."""
    return {
        "identical": float((made == wanted).mean()),
        "correlation": float(np.corrcoef(made.ravel(), wanted.ravel())[0, 1]),
        "difference": float((made - wanted).mean()),
    }


def swept(config: PhantomConfig, made: VolumeConfig) -> tuple[Phantom, SweepVolume]:
    """A phantom, and its sweep as a gateway sees it.

    A picture has the pose of the moment by which it is stamped: with a lag, of one too late. Noise
    is that of the tracker.
    """
    phantom = Phantom(config)
    sweep = SweepVolume(("bench", "probe", "s"), made)
    region = Region((0, 0, config.width_px, config.height_px))
    for frame in phantom.frames():
        pose = phantom.noisy(phantom.probe_pose(frame.stamp_s), frame.number)
        place = tuple((pose @ phantom.image_to_probe).ravel().tolist())
        stamp_ns = BEGAN_NS + round(frame.stamp_s * 1e9)
        side = (config.spacing_mm, config.spacing_mm)
        tracked = TrackedFrame("s", frame.number + 1, stamp_ns, place, "0" * 8, side, region)
        sweep.add(tracked, frame.image)
    return phantom, sweep


def phantoms(seeds: int) -> Result:
    """Every condition over all seeds: the worst of each number."""
    told: Result = {}
    for name, options in zip(PHANTOMS, OPTIONS, strict=True):
        rows = []
        for seed in range(1, seeds + 1):
            phantom, sweep = swept(PhantomConfig(seed=seed, **options), VolumeConfig())
            done = sweep.finish(SweepEnd("s", BEGAN_NS, 240), BEGAN_NS)
            rows.append({"seed": seed, **measured(phantom, done.found)})
            rows[-1]["within"] = within(phantom, done)
            rows[-1]["jitter_mm"] = done.report.jitter_mm
        told[name] = {"seeds": rows, "worst": worst(rows)}
        told[name]["within"] = float(np.mean([one for row in rows for one in row["within"]]))
        print(name, json.dumps(told[name]["worst"]), flush=True)
    return told


def measured(phantom: Phantom, found: tuple[Structure, ...]) -> Result:
    """Of each body: the error of its volume, of its centre and of its surface, in mm."""
    row: Result = {}
    for body in phantom.bodies:
        one = nearest(body, found)
        if one is None:
            row[body.name] = None
            continue
        away = body.distance_mm(one.mesh.vertices.astype(np.float64))
        row[body.name] = {
            "volume": one.volume_ml / body.volume_ml - 1.0,
            "surface_mean_mm": float(away.mean()),
            "surface_p95_mm": float(np.percentile(away, 95)),
            "border_mm": (one.volume_ml - body.volume_ml) * 1000.0 / one.area_mm2,
        }
        if body.name != "vessel":
            off = np.subtract(one.centre_mm, body.centre_mm)
            row[body.name]["centre_mm"] = float(np.linalg.norm(off))
    return row


def within(phantom: Phantom, done: Finished) -> list[bool]:
    """Of every volume and centre that is told, whether the truth lies within its uncertainty."""
    told = []
    for body in phantom.bodies:
        one = nearest(body, done.found)
        if one is None or body.name == "vessel":
            continue
        (row,) = (
            row for row, found in zip(done.report.measured, done.found, strict=True) if found is one
        )
        told.append(abs(row.volume_ml - body.volume_ml) <= row.volume_uncertainty_ml)
        off = np.linalg.norm(np.subtract(row.centre_mm, body.centre_mm))
        told.append(bool(off <= row.centre_uncertainty_mm))
    return told


def nearest(body: Body, found: tuple[Structure, ...]) -> Structure | None:
    """The structure whose surface lies nearest to that of a body; None where none is near."""

    def away(one: Structure) -> float:
        return float(body.distance_mm(one.mesh.vertices.astype(np.float64)).mean())

    best = min(found, key=away, default=None)
    return best if best is not None and away(best) < 3.0 else None


def worst(rows: list[Result]) -> Result:
    """The largest of every number, without its sign, by body; null where one was not found."""
    told: Result = {}
    for body in ("ellipsoid", "sphere", "vessel"):
        values = [row[body] for row in rows]
        if None in values:
            told[body] = None
            continue
        told[body] = {name: max(abs(one[name]) for one in values) for name in values[0]}
    return told


def speed(data: Path | None) -> Result:
    """Frames a second into a volume: recorded ones where they are, else drawn ones."""
    if data is not None:
        frames = spine(data)
    else:
        rng = np.random.default_rng(1)
        pose = np.diag([0.08, 0.08, 1.0, 1.0])
        frames = []
        for number in range(20):
            pose = pose.copy()
            pose[2, 3] = number * 0.5
            frames.append((rng.integers(0, 256, (616, 820), np.uint8), pose))
    told: Result = {"frames": len(frames), "size": [820, 616]}
    for distribution in ("nearest", "linear"):
        best = 0.0
        for _ in range(3):
            volume = Reconstruction(SPACING, distribution=distribution)
            volume.reserve(
                np.concatenate([corners_mm(pose, (0, 0, 819, 615)) for _, pose in frames])
            )
            begun = time.process_time()
            for number, (picture, pose) in enumerate(frames):
                volume.add(picture, pose, seq=number)
            best = max(best, len(frames) / (time.process_time() - begun))
        told[distribution] = round(best, 1)
    return told


def castings(seeds: int) -> Result:
    """Voids and a crack in drawn castings."""
    rows = []
    for seed in range(1, seeds + 1):
        told = inspect_casting(drawn_casting((*VOIDS, CRACK), seed=seed))
        errors, places = [], []
        for true in (*VOIDS, CRACK):
            off = [np.linalg.norm(np.subtract(v.centre_mm, true.centre_mm)) for v in told.voids]
            one = told.voids[int(np.argmin(off))]
            errors.append(abs(one.volume_mm3 / true.volume_mm3 - 1.0))
            places.append(float(min(off)))
        rows.append({"found": len(told.voids), "volume": max(errors), "place_mm": max(places)})
    sound = inspect_casting(drawn_casting(()))
    return {
        "seeds": rows,
        "true": len(VOIDS) + 1,
        "false": len(sound.voids),
        "volume": max(row["volume"] for row in rows),
        "place_mm": max(row["place_mm"] for row in rows),
    }


def end_to_end(sweeps: int) -> Result:
    """240 frames, about 2 million voxels: until all is made here, and until it is on a device."""
    warm_up()
    _, sweep = swept(PhantomConfig(seed=1), VolumeConfig())
    begun = time.perf_counter()
    done = sweep.finish(SweepEnd("s", BEGAN_NS, 240), BEGAN_NS)
    volume_s = time.perf_counter() - begun
    made = products(done, VolumeConfig().faces_max)
    return {
        "voxels": done.volume.grid.voxels,
        "volume_s": round(volume_s, 3),
        "made_s": round(time.perf_counter() - begun, 3),
        "bytes": {one.name: len(one.data) for one in made.artefacts},
        "sweeps": over_loopback(sweeps),
    }


def draw_slices(path: Path) -> None:
    """Slices of a phantom as a picture for the docs: fewer gray levels, so that it stays small."""
    _, sweep = swept(PhantomConfig(seed=1), VolumeConfig())
    done = sweep.finish(SweepEnd("s", BEGAN_NS, 240), BEGAN_NS)
    picture = three_slices(done.volume, done.found, BANNER)
    cv2.imwrite(str(path), picture // 12 * 12, [cv2.IMWRITE_PNG_COMPRESSION, 9])
