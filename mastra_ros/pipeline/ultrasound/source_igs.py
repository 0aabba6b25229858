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
from mastra_ros.pipeline.ultrasound.upright import LETTERS, along_lines, eight_bits, upright
from mastra_ros.pipeline.ultrasound.ways import frames_of, way
from mastra_ros.share import home_path

RATE_HZ = 30.0
UNCONVERTED = "none"
"""In place of a file of scan conversion: lines of echoes are pictures as they are."""


class IgsSource:
    """Plays one file, or pictures and poses of two. SourceError, ConfigError."""

    live = False

    def __init__(self, uri: ProbeUri) -> None:
        self._pictures = read_metafile(home_path(uri.target))
        if not self._pictures.size[0] * self._pictures.size[1]:
            raise SourceError(f"{uri.target}: expected pictures, got poses alone")
        other = uri.options.get("poses")
        self._poses = read_metafile(home_path(other)) if other else self._pictures
        self._guessed = ""
        self._tool, self._reference = self._ends(uri)
        rate_hz = uri.number("rate", RATE_HZ)
        if not 0.001 <= rate_hz <= 1000.0:
            raise ConfigError(f"source: rate: expected 0.001 to 1000 Hz, got {rate_hz:g}")
        self._picture_ns = _stamps_ns(self._pictures, rate_hz)
        same = self._poses is self._pictures
        self._pose_ns = self._picture_ns if same else _stamps_ns(self._poses, rate_hz)
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
                if self._reference:
                    yield TimedPose(stamp, self._pose(number))
                continue
            image = next(images)
            if self._pictures.has_picture(number):
                yield Picture(stamp, self._upright(image))

    def close(self) -> None:
        """Nothing is held open between events."""

    def _ends(self, uri: ProbeUri) -> tuple[str, str]:
        """What is tracked, and against what; both empty where the file has no transforms.

        Without an option the tool is Probe, or else the only frame that can be one. Where nothing
        leads to the reference, the tracker is it.
        """
        names = self._poses.transforms()
        known = frames_of(names)
        if not known:
            return "", ""
        reference = uri.options.get("reference", "Reference")
        tool = uri.options.get("tool", "")
        if not tool:
            fixed = {reference, "Reference", "Tracker", "World", "Phantom"}
            able = [name for name in known if name not in fixed and not name.startswith("Stylus")]
            tool = "Probe" if "Probe" in known else (able or ["Probe"])[0]
            if not able:
                self._guessed = f"no probe is tracked, but {', '.join(known)}: say ?tool=NAME"
                return "", ""
            if tool != "Probe" and len(able) == 1:
                self._guessed = f"what is tracked is taken to be {tool}"
            elif tool != "Probe":
                raise SourceError(self._no_way("Probe", reference, names))
        ends = [end for end in (reference, "Tracker") if self._leads(tool, end)]
        if not ends or ("reference" in uri.options and ends[0] != reference):
            raise SourceError(self._no_way(tool, reference, names))
        return tool, ends[0]

    def _leads(self, tool: str, end: str) -> bool:
        """Whether the names alone lead there, however many of the poses are valid."""
        named = {name: np.eye(4) for name in self._poses.transforms()}
        return way(named, tool, end) is not None

    def _no_way(self, tool: str, reference: str, names: list[str]) -> str:
        return (
            f"{self._poses.path}: expected {tool}To{reference} or {tool}ToTracker, got "
            f"{', '.join(names)}; say ?tool=NAME&reference=NAME"
        )

    def _pose(self, number: int) -> Matrix | None:
        told = {name: self._poses.transform(number, name) for name in self._poses.transforms()}
        valid = {name: matrix for name, matrix in told.items() if matrix is not None}
        return way(valid, self._tool, self._reference)

    def _lines(self, scan: str | None) -> tuple[ScanConverter | None, Matrix | None]:
        if not along_lines(self._pictures.orientation) or scan == UNCONVERTED:
            return None, None
        if not scan:
            raise ConfigError(
                f"source: {self._pictures.path} has lines of echoes (orientation "
                f"{self._pictures.orientation}), expected ?scan=FILE with their ScanConversion, or "
                f"?scan={UNCONVERTED} to show them as they are"
            )
        calibration = read_calibration(home_path(scan))
        converter = ScanConverter(geometry_from_plus(calibration.scan))
        return converter, calibration.matrix

    def _upright(self, image: np.ndarray) -> np.ndarray:
        """As it is told from here on: x to the marked side, y away from the probe, 8 bits gray."""
        letters = self._pictures.orientation
        if self._converter is None:
            return upright(image, letters)
        lines = eight_bits(image)
        lines = lines[:, ::-1] if letters[:1] == "N" else lines
        return self._converter.convert(lines[::-1] if letters[1:2] == "U" else lines)

    def _doubts(self) -> Iterator[str]:
        for name, file in (("pictures", self._pictures), ("poses", self._poses)):
            if name == "poses" and file is self._pictures:
                continue
            stamps = [file.stamp_s(number) for number in range(len(file.fields))]
            yield from (f"{name}: {words}" for words in look_at_stamps(stamps).words)
        letters = self._pictures.orientation
        if letters[:2] not in LETTERS:
            said = repr(letters) if letters else "none"
            yield f"orientation: expected {', '.join(LETTERS)}, got {said}: taken to be MF"
        if self._guessed:
            yield self._guessed
        if not self._reference:
            yield "there are no poses: pictures are shown, and no sweep can be told"
            return
        if text := counts_problem(len(self._picture_ns), len(self._pose_ns)):
            yield text
        poses = range(len(self._poses.fields))
        if bad := sum(self._pose(number) is None for number in poses):
            yield f"{bad} of {len(poses)} poses are missing or marked as not OK"
        count = len(self._pictures.fields)
        if bad := sum(not self._pictures.has_picture(number) for number in range(count)):
            yield f"{bad} of {count} pictures are marked as not OK, and left out"


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
