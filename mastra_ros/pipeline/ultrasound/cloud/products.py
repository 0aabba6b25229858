"""What a finished sweep gives back: artefacts of the kinds `volume` and `report`."""

from __future__ import annotations

import functools
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from mastra_ros.artefacts import Artefact
from mastra_ros.pipeline.report.dicom_sr import structured_report
from mastra_ros.pipeline.report.dicom_us import to_bytes, us_multiframe
from mastra_ros.pipeline.report.fhir import diagnostic_report
from mastra_ros.pipeline.report.pdf import pdf_report
from mastra_ros.pipeline.ultrasound.banner import BANNER
from mastra_ros.pipeline.ultrasound.cloud.sweep_volume import Finished, SweepVolume
from mastra_ros.pipeline.ultrasound.region import Region
from mastra_ros.pipeline.ultrasound.sweep import SweepEnd, TrackedFrame
from mastra_ros.pipeline.volume.cargo import cloud, nrrd
from mastra_ros.pipeline.volume.slices import BAR_PX, SIDE_PX, banner, png, three_slices

VOLUME, REPORT = "volume", "report"
KEPT_S = 30 * 86400.0
FRAME = "reference"
"""Name of the frame that points and surfaces are in."""


@dataclass(frozen=True)
class Products:
    """artefacts: for the device; objects: DICOM datasets, for an archive."""

    artefacts: tuple[Artefact, ...]
    objects: tuple[Any, ...]


def products(done: Finished, faces_max: int) -> Products:
    """Everything, each with the banner. The same sweep gives the same volume and measurements."""
    name = done.report.identity[-1]
    told = {"sweep": name, "frames": str(done.report.frames)}
    beside = ThreadPoolExecutor(1)  # packing lets go of the interpreter
    packed = beside.submit(nrrd, done.volume, BANNER, told)
    slices = png(three_slices(done.volume, done.found, BANNER))
    coverage = png(_coverage_picture(done))
    pdf = pdf_report(done.report, [slices, coverage], BANNER)
    images = us_multiframe(done.report, done.stills, done.spacing_px_mm, BANNER)
    structured = structured_report(done.report, images, BANNER)
    named = [
        (one.name, found.mesh) for one, found in zip(done.report.measured, done.found, strict=True)
    ]
    drawn = cloud(done.volume, named, faces_max=faces_max, frame=FRAME, note=BANNER)
    every = (
        (VOLUME, "points.msgpack", "application/msgpack", drawn.to_bytes()),
        (VOLUME, "nrrd", "application/x-nrrd", packed.result()),
        (VOLUME, "slices.png", "image/png", slices),
        (VOLUME, "coverage.png", "image/png", coverage),
        (REPORT, "fhir.json", "application/fhir+json", diagnostic_report(done.report, pdf, BANNER)),
        (REPORT, "pdf", "application/pdf", pdf),
        (REPORT, "us.dcm", "application/dicom", to_bytes(images)),
        (REPORT, "sr.dcm", "application/dicom", to_bytes(structured)),
    )
    beside.shutdown()
    version = str(done.report.frames)
    artefacts = tuple(
        Artefact(kind, f"{name}.{end}", data, version, media_type=media, expires_s=KEPT_S)
        for kind, end, media, data in every
    )
    return Products(artefacts, (images, structured))


@functools.cache
def warm_up() -> None:
    """Load all that a report needs, so that nobody waits for it when a sweep has ended."""
    begin = time.time_ns()
    sweep = SweepVolume(("mastra", "warm-up", "warm-up"))
    y, x = np.mgrid[:40, :40]
    pose = np.eye(4)
    for number in range(1, 21):
        pose[2, 3] = 0.5 * number
        far = np.sqrt((x / 2 - 10) ** 2 + (y / 2 - 10) ** 2 + (number / 2 - 5) ** 2)
        place = tuple((pose @ np.diag([0.5, 0.5, 1.0, 1.0])).ravel().tolist())
        region = Region((0, 0, 40, 40))
        frame = TrackedFrame("warm-up", number, begin, place, "00000000", (0.5, 0.5), region)
        sweep.add(frame, np.where(far < 3, 200, 90).astype(np.uint8))
    done = sweep.finish(SweepEnd("warm-up", begin, 20), begin)
    products(done, 1000)


def _coverage_picture(done: Finished) -> Any:
    """Green where all was hit, to red where nothing was, black outside."""
    level = done.map.astype(np.float32) / 255
    colours = np.stack([np.zeros_like(level), level * 200, (1 - level) * 230], 2)
    colours[done.map == 0] = 0
    scale = max(1, SIDE_PX // max(level.shape))
    wide = cv2.resize(colours, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    picture = np.zeros((wide.shape[0] + BAR_PX, max(wide.shape[1], SIDE_PX), 3), np.uint8)
    picture[: wide.shape[0], : wide.shape[1]] = wide.astype(np.uint8)
    banner(picture, BANNER)
    return picture
