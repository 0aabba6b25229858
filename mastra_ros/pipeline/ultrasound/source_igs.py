"""Pictures and poses of PLUS sequence metafiles, in the order of their stamps.

Of pictures and poses in one file those of one frame belong together. Where stamps are missing they
are put between their neighbours, or by `rate` where there is none at all; what is doubtful is told
with numbers in `notes`, and nothing is left out silently.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mastra_ros.errors import ConfigError, SourceError
from mastra_ros.pipeline.ultrasound.calibration import read_calibration
from mastra_ros.pipeline.ultrasound.checks import counts_problem, look_at_stamps
from mastra_ros.pipeline.ultrasound.metafile import Metafile, read_metafile
from mastra_ros.pipeline.ultrasound.rigid import Matrix
from mastra_ros.pipeline.ultrasound.scan import ScanConverter, geometry_from_plus
from mastra_ros.pipeline.ultrasound.source import Event, Picture, ProbeUri, TimedPose
from mastra_ros.share import home_path

RATE_HZ = 30.0


class IgsSource:
    """Plays one file, or pictures and poses of two. SourceError, ConfigError."""

    live = False

    def __init__(self, uri: ProbeUri) -> None:
        self._pictures = read_metafile(home_path(uri.target))
        if not self._pictures.size[0] * self._pictures.size[1]:
            raise SourceError(f"{uri.target}: expected pictures, got poses alone")
        other = uri.options.get("poses")
        self._poses = read_metafile(home_path(other)) if other else self._pictures
        self._tool = uri.options.get("tool", "Probe")
        self._reference = uri.options.get("reference", "Reference")
        rate_hz = uri.number("rate", RATE_HZ)
        if not 0.001 <= rate_hz <= 1000.0:
            raise ConfigError(f"source: rate: expected 0.001 to 1000 Hz, got {rate_hz:g}")
        self._picture_ns = _stamps_ns(self._pictures, rate_hz)
        same = self._poses is self._pictures
        self._pose_ns = self._picture_ns if same else _stamps_ns(self._poses, rate_hz)
        self._ways = self._find_ways()
        self._converter, self.image_to_probe = self._lines(uri.options.get("scan"))
        self.notes = tuple(self._doubts())

    def events(self) -> Iterator[Event]:
        """Pictures after the poses of the same stamp."""
        poses = [(stamp, 0, number) for number, stamp in enumerate(self._pose_ns)]
        pictures = [(stamp, 1, number) for number, stamp in enumerate(self._picture_ns)]
        backwards = any(b < a for a, b in zip(self._picture_ns, self._picture_ns[1:], strict=False))
        order = [e for pair in zip(poses, pictures, strict=False) for e in pair]
        if self._poses is not self._pictures or not backwards:
            # A clock that jumps back inside one file is played as it was recorded.
            order = sorted(poses + pictures)
        images = self._pictures.pictures()
        for stamp, kind, number in order:
            if kind == 0:
                if self._ways:
                    yield TimedPose(stamp, self._pose(number))
                continue
            image = next(images)
            if self._pictures.fields[number].get("ImageStatus", "OK") == "OK":
                yield Picture(stamp, self._upright(image))

    def close(self) -> None:
        """Nothing is held open between events."""

    def _find_ways(self) -> tuple[str, ...]:
        """Names of the transforms whose product takes the probe to the reference."""
        known, tool, reference = self._poses.transforms(), self._tool, self._reference
        if f"{tool}To{reference}" in known:
            return (f"{tool}To{reference}",)
        if f"{tool}ToTracker" in known:
            both = f"{reference}ToTracker" in known
            return (f"{reference}ToTracker", f"{tool}ToTracker") if both else (f"{tool}ToTracker",)
        if not known:
            return ()
        raise SourceError(
            f"{self._poses.path}: expected {tool}To{reference} or {tool}ToTracker, got "
            f"{', '.join(known)}; say ?tool=NAME"
        )

    def _pose(self, number: int) -> Matrix | None:
        last = self._poses.transform(number, self._ways[-1])
        if last is None or len(self._ways) == 1:
            return last
        first = self._poses.transform(number, self._ways[0])
        if first is None or abs(np.linalg.det(first)) < 1e-9:
            return None
        product: Matrix = np.linalg.inv(first) @ last
        return product

    def _lines(self, scan: str | None) -> tuple[ScanConverter | None, Matrix | None]:
        along = self._pictures.orientation.startswith(("F", "N"))  # a row is a line of echoes
        if not along:
            return None, None
        if not scan:
            raise ConfigError(
                f"source: {self._pictures.path} has lines of echoes (orientation "
                f"{self._pictures.orientation}), expected ?scan=FILE with their ScanConversion"
            )
        calibration = read_calibration(home_path(scan))
        converter = ScanConverter(geometry_from_plus(calibration.scan))
        return converter, calibration.matrix

    def _upright(self, image: np.ndarray) -> np.ndarray:
        """As it is told from here on: x to the marked side, y away from the probe, 8 bits gray."""
        if image.dtype == np.uint16:
            image = (image >> 8).astype(np.uint8)
        if image.ndim == 3:
            image = image.mean(axis=2).astype(np.uint8)
        letters = self._pictures.orientation
        if self._converter is not None:
            if letters[0] == "N":
                image = image[:, ::-1]
            if letters[1:2] == "U":
                image = image[::-1]
            return self._converter.convert(image)
        if letters[:1] == "U":
            image = image[:, ::-1]
        if letters[1:2] == "N":
            image = image[::-1]
        return np.ascontiguousarray(image)

    def _doubts(self) -> Iterator[str]:
        for name, file in (("pictures", self._pictures), ("poses", self._poses)):
            if name == "poses" and file is self._pictures:
                continue
            stamps = [file.stamp_s(number) for number in range(len(file.fields))]
            yield from (f"{name}: {words}" for words in look_at_stamps(stamps).words)
        if not self._ways:
            yield "there are no poses: pictures are shown, and no sweep can be told"
            return
        if text := counts_problem(len(self._picture_ns), len(self._pose_ns)):
            yield text
        poses = range(len(self._poses.fields))
        if bad := sum(self._pose(number) is None for number in poses):
            yield f"{bad} of {len(poses)} poses are missing or marked as not OK"
        marks = [fields.get("ImageStatus", "OK") for fields in self._pictures.fields]
        if bad := sum(mark != "OK" for mark in marks):
            yield f"{bad} of {len(marks)} pictures are marked as not OK, and left out"


def _stamps_ns(file: Metafile, rate_hz: float) -> list[int]:
    """A stamp for every frame; those that are missing lie between, or behind, their neighbours."""
    told = [file.stamp_s(number) for number in range(len(file.fields))]
    known = [number for number, stamp in enumerate(told) if stamp is not None]
    if not known:
        return [round(number / rate_hz * 1e9) for number in range(len(told))]
    values = [stamp for stamp in told if stamp is not None]
    steps = np.diff(values) / np.diff(known) if len(known) > 1 else np.array([1 / rate_hz])
    forward = steps[steps > 0]
    step = float(np.median(forward)) if len(forward) else 1 / rate_hz
    filled = np.interp(range(len(told)), known, values)
    for number in range(known[0]):
        filled[number] = values[0] - (known[0] - number) * step
    for number in range(known[-1] + 1, len(told)):
        filled[number] = values[-1] + (number - known[-1]) * step
    return [round(stamp * 1e9) for stamp in filled.tolist()]
