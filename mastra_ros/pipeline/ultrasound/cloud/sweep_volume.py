"""One sweep at the gateway: frames in, while it lasts how it goes, in the end all that is made.

Nothing here depends on the order in which frames come, nor on how often one of them comes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mastra_ros.config import VolumeConfig
from mastra_ros.errors import VolumeError
from mastra_ros.pipeline.report.dicom_us import Still, still
from mastra_ros.pipeline.report.measured import Report, measure
from mastra_ros.pipeline.ultrasound.region import Region
from mastra_ros.pipeline.ultrasound.sweep import SweepEnd, SweepFeedback, TrackedFrame
from mastra_ros.pipeline.volume.grid import corners_mm
from mastra_ros.pipeline.volume.holes import filled
from mastra_ros.pipeline.volume.reconstruction import Reconstruction, Volume
from mastra_ros.pipeline.volume.structures import Search, Structure, structures
from mastra_ros.pipeline.volume.watching import SweepWatch, coverage_map

Array = NDArray[Any]


@dataclass(frozen=True)
class Finished:
    """What a sweep has become. volume: with holes filled; map: of its coverage."""

    report: Report
    volume: Volume
    found: tuple[Structure, ...]
    map: NDArray[np.uint8]
    stills: tuple[Still, ...]
    spacing_px_mm: tuple[float, float]


class SweepVolume:
    """A sweep of one device and stream; `identity` names all three."""

    def __init__(self, identity: tuple[str, ...], config: VolumeConfig | None = None) -> None:
        self.config = config = config or VolumeConfig()
        self.identity = identity
        self.misplaced = 0  # frames whose pose or size made no sense
        self._volume = Reconstruction(
            (config.spacing_mm,) * 3,
            voxels_max=config.voxels_max,
            compounding=config.compounding,
            distribution=config.distribution,
            coarsen=True,
        )
        self._watch = SweepWatch(config.gap_mm)
        self._seen: set[int] = set()
        self._stamps: tuple[int, int] | None = None
        self._calibrations: set[str] = set()
        self._spacing_px_mm: tuple[float, float] | None = None
        self._size: tuple[int, int] | None = None
        self._masks: dict[tuple[Region, int, int], NDArray[np.bool_]] = {}
        self._stills: dict[int, Still] = {}
        self._stride = 1

    @property
    def frames(self) -> int:
        """How many are in the volume."""
        return self._volume.frames

    def add(self, frame: TrackedFrame, image: NDArray[np.uint8]) -> SweepFeedback | None:
        """Take in a frame, (height, width); how the sweep goes, every so many frames.

        One that was there before changes nothing. Raises VolumeError for one that cannot be used,
        which is counted.
        """
        if frame.sequence in self._seen:
            return None
        self._seen.add(frame.sequence)
        try:
            self._add(frame, image)
        except VolumeError:
            self.misplaced += 1
            raise
        return self.feedback() if self.frames % self.config.feedback_frames == 0 else None

    def feedback(self) -> SweepFeedback:
        """How the sweep goes."""
        seen = self._watch.watched()
        speed = -1.0 if seen.speed_mm_s is None else round(seen.speed_mm_s, 2)
        return SweepFeedback(
            self.identity[-1],
            self.frames,
            speed,
            speed > self.config.speed_max_mm_s,
            seen.gaps,
            seen.gaps_total,
            round(seen.covered, 4),
        )

    def finish(self, end: SweepEnd, made_ns: int, subject: str = "") -> Finished:
        """All that is made of the frames there are. VolumeError where there are none."""
        if self._stamps is None:
            raise VolumeError(f"sweep {self.identity[-1]}: expected frames with poses, got none")
        config = self.config
        raw = self._volume.volume()
        volume = filled(raw, config.fill_voxels) if config.fill_voxels >= 2 else raw
        search = Search(config.contrast, config.structure_ml, config.smooth_mm)
        found = structures(volume, search)
        covered, coverage = coverage_map(raw, volume)
        jitter_mm = self._watch.jitter_mm()
        report = Report(
            self.identity,
            subject,
            *self._stamps,
            max(made_ns, self._stamps[1]),
            self.frames,
            max(0, end.frames - self.frames),
            raw.grid.spacing_mm,
            raw.grid.size,
            config.compounding,
            config.distribution,
            ", ".join(sorted(one[:16] for one in self._calibrations)),
            covered,
            jitter_mm,
            measure(found, jitter_mm),
            tuple(self._notes(end)),
            tuple(sorted(end.refused.items())),
            float((volume.hits != 0).sum()) * volume.grid.voxel_mm3 / 1000.0,
        )
        stills = tuple(self._stills[number] for number in sorted(self._stills))
        spacing = self._spacing_px_mm or (1.0, 1.0)
        return Finished(report, volume, tuple(found), coverage, stills, spacing)

    def state(self) -> dict[str, Any]:
        """All that was taken in, as plain values; for `take_over`."""
        return {
            "volume": self._volume.state(),
            "watch": self._watch.state(),
            "seen": sorted(self._seen),
            "misplaced": self.misplaced,
            "stamps": self._stamps,
            "calibrations": sorted(self._calibrations),
            "spacing": self._spacing_px_mm,
            "size": self._size,
            "stride": self._stride,
            "stills": [dataclasses.astuple(one) for one in self._stills.values()],
        }

    def take_over(self, state: Mapping[str, Any]) -> None:
        """What `state` gave, of one with the same config; all goes on as if never interrupted."""
        self._volume.take_over(state["volume"])
        for number, stamp_ns, corners in state["watch"]:
            self._watch.add(number, stamp_ns, np.asarray(corners))
        self._seen = set(state["seen"])
        self.misplaced = state["misplaced"]
        self._stamps = _pair(state["stamps"])
        self._calibrations = set(state["calibrations"])
        self._spacing_px_mm = _pair(state["spacing"])
        self._size = _pair(state["size"])
        self._stride = state["stride"]
        self._stills = {one[0]: Still(*one) for one in state["stills"]}

    def _add(self, frame: TrackedFrame, image: NDArray[np.uint8]) -> None:
        if self._size not in (None, image.shape):
            raise VolumeError(f"frame: expected {self._size} px as before, got {image.shape}")
        height, width = image.shape
        mask = self._mask(frame.region, width, height)
        self._volume.add(image, frame.matrix, seq=frame.sequence, mask=mask)
        self._size = image.shape
        self._spacing_px_mm = frame.spacing_mm
        self._calibrations.add(frame.calibration)
        low, high = self._stamps or (frame.stamp_ns, frame.stamp_ns)
        self._stamps = min(low, frame.stamp_ns), max(high, frame.stamp_ns)
        box = (0, 0, width - 1, height - 1)
        self._watch.add(frame.sequence, frame.stamp_ns, corners_mm(frame.matrix, box))
        self._keep(frame, np.where(mask, image, 0).astype(np.uint8))

    def _mask(self, region: Region, width: int, height: int) -> NDArray[np.bool_]:
        key = (region, width, height)
        if key not in self._masks:
            if len(self._masks) > 8:
                self._masks.clear()
            self._masks[key] = region.mask(width, height)
        return self._masks[key]

    def _keep(self, frame: TrackedFrame, image: NDArray[np.uint8]) -> None:
        """Keep every n-th frame for the DICOM image; n doubles as often as there are too many."""
        if frame.sequence % self._stride:
            return
        self._stills[frame.sequence] = still(frame.sequence, frame.stamp_ns, image)
        while len(self._stills) > self.config.dicom_frames_max:
            self._stride *= 2
            self._stills = {n: one for n, one in self._stills.items() if n % self._stride == 0}

    def _notes(self, end: SweepEnd) -> list[str]:
        told = []
        missing = end.frames - self.frames
        if missing > 0:
            told.append(f"{missing} of {end.frames} frames are missing")
        if self.misplaced:
            told.append(f"{self.misplaced} frames could not be placed")
        if self._volume.spacing_mm[0] > self.config.spacing_mm:
            told.append(
                f"voxels are {self._volume.spacing_mm[0]:g} mm instead of "
                f"{self.config.spacing_mm:g} mm: there would have been more than "
                f"{self.config.voxels_max}"
            )
        if len(self._calibrations) > 1:
            told.append(f"{len(self._calibrations)} calibrations were used in one sweep")
        seen = self._watch.watched()
        if seen.gaps_total:
            widest = max(gap[2] for gap in seen.gaps)
            told.append(f"{seen.gaps_total} gaps between frames, one of {widest:.1f} mm")
        return told


def _pair(told: Any) -> Any:
    return None if told is None else tuple(told)
