"""What is known of a probe: where its picture lies, and what of it is tissue.

Read from the XML that PLUS writes (`CoordinateDefinitions`, `VolumeReconstruction`,
`ScanConversion`), or from YAML:

    image_to_probe: [16 numbers, row by row; mm a pixel]
    clip_px: [x, y, width, height]
    fan: {origin_px: [x, y], angles_deg: [start, stop], radii_px: [start, stop]}
    lag_ms: -64.8

ConfigError for what cannot be read, with what was expected and what was found.
"""

from __future__ import annotations

import hashlib
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from mastra_ros.errors import ConfigError, RecordError
from mastra_ros.pipeline.ultrasound.phantom import Phantom
from mastra_ros.pipeline.ultrasound.region import Fan, Region, floats

FILE_BYTES_MAX = 4 * 2**20


@dataclass(frozen=True)
class Calibration:
    """image_to_probe: (4, 4) as 16 numbers, px of the picture to mm at the probe.

    region: None where no clip rectangle or fan is known. lag_ms: see `SweepBegin`. options: the
    attributes of PLUS's VolumeReconstruction, and those of its first HoleFillingElement under
    `HoleFilling.`; scan: those of ScanConversion.
    """

    image_to_probe: tuple[float, ...]
    region: Region | None = None
    lag_ms: float = 0.0
    options: Mapping[str, str] = field(default_factory=dict)
    scan: Mapping[str, str] = field(default_factory=dict)
    transforms: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    size_px: tuple[int, int] | None = None  # pictures of another size are none of this probe

    @property
    def matrix(self) -> NDArray[np.float64]:
        """image_to_probe as (4, 4)."""
        return np.array(self.image_to_probe, np.float64).reshape(4, 4)

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Size of a pixel in x and y: the lengths of the first two columns."""
        x, y = np.linalg.norm(self.matrix[:3, :2], axis=0).tolist()
        return x, y

    @property
    def digest(self) -> str:
        """Names it: of matrix, region and lag."""
        region = None if self.region is None else self.region.to_map()
        told = json.dumps([list(self.image_to_probe), region, self.lag_ms])
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def of_phantom(phantom: Phantom) -> Calibration:
    """That of a drawn phantom: all of its pictures is tissue, and nothing in them is private."""
    size = phantom.config.width_px, phantom.config.height_px
    matrix = tuple(phantom.image_to_probe.ravel().tolist())
    return Calibration(matrix, Region((0, 0, *size)), size_px=size)


def read_calibration(path: str | Path) -> Calibration:
    """Read PLUS XML or our YAML, whichever it is."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"calibration: cannot read {path}: {error.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"calibration: expected at most {FILE_BYTES_MAX} bytes in {path}")
    try:
        if data.lstrip().startswith(b"<"):
            return from_plus(data)
        return from_yaml(data)
    except (ConfigError, RecordError) as error:
        raise ConfigError(f"{path}: {error}") from None


def from_plus(data: bytes) -> Calibration:
    """Out of a PLUS device set configuration."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise ConfigError("calibration: expected XML without a document type, got one")
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 - entities are refused above
    except ElementTree.ParseError as error:
        raise ConfigError(f"calibration: expected XML, got {error}") from None
    transforms = {}
    for one in root.iter("Transform"):
        text = one.get("Matrix")
        if text is not None:
            name = f"{one.get('From')}To{one.get('To')}"
            transforms[name] = _numbers(text, 16, f"Matrix of {name}")
    options = _attributes(root, "VolumeReconstruction")
    options |= {
        f"HoleFilling.{name}": value
        for name, value in _attributes(root, "HoleFillingElement").items()
    }
    scan = _attributes(root, "ScanConversion")
    image_to_probe = transforms.get("ImageToProbe")
    if image_to_probe is None:
        if not scan:
            raise ConfigError(
                "calibration: expected a Transform from Image to Probe, got "
                f"{', '.join(transforms) or 'none'}"
            )
        side = _numbers(scan.get("OutputImageSpacingMmPerPixel", "1 1"), 2, "spacing")
        image_to_probe = tuple(np.diag([side[0], side[1], 1.0, 1.0]).ravel().tolist())
    return Calibration(image_to_probe, _plus_region(options), 0.0, options, scan, transforms)


def _plus_region(options: Mapping[str, str]) -> Region | None:
    if "ClipRectangleOrigin" not in options or "ClipRectangleSize" not in options:
        return None
    x, y = _numbers(options["ClipRectangleOrigin"], 2, "ClipRectangleOrigin")
    wide, high = _numbers(options["ClipRectangleSize"], 2, "ClipRectangleSize")
    if not wide or not high:  # of PLUS, the whole picture: nobody has said what may leave
        return None
    fan = None
    if "FanAnglesDeg" in options and "FanOriginPixel" in options:
        start, stop = _numbers(options["FanAnglesDeg"], 2, "FanAnglesDeg")
        origin_x, origin_y = _numbers(options["FanOriginPixel"], 2, "FanOriginPixel")
        near = _numbers(options.get("FanRadiusStartPixel", "0"), 1, "FanRadiusStartPixel")[0]
        far = _numbers(options.get("FanRadiusStopPixel", "500"), 1, "FanRadiusStopPixel")[0]
        if start != stop:  # PLUS writes 0 0 for no fan
            fan = Fan((origin_x, origin_y), start, stop, near, far)
    return Region((int(x), int(y), int(wide), int(high)), fan)


def from_yaml(data: bytes) -> Calibration:
    """Out of a file of our own."""
    try:
        told = yaml.safe_load(data)
    except yaml.YAMLError as error:
        raise ConfigError(f"calibration: expected XML or YAML, got {error}") from None
    if not isinstance(told, Mapping):
        raise ConfigError(f"calibration: expected names and values, got {told!r:.80}")
    known = {"image_to_probe", "clip_px", "fan", "lag_ms"}
    if unknown := [str(name) for name in told if name not in known]:
        raise ConfigError(
            f"calibration: expected {', '.join(sorted(known))}, got {', '.join(unknown):.80}"
        )
    region = None
    if told.get("clip_px") is not None:
        region = Region.from_map({"clip_px": told["clip_px"], "fan": _yaml_fan(told.get("fan"))})
    elif told.get("fan") is not None:
        raise ConfigError("calibration: expected clip_px beside the fan, got none")
    matrix = floats(told.get("image_to_probe"), 16, "image_to_probe")
    return Calibration(matrix, region, floats([told.get("lag_ms", 0.0)], 1, "lag_ms")[0])


def _yaml_fan(told: Any) -> list[float] | None:
    if told is None:
        return None
    if not isinstance(told, Mapping):
        raise ConfigError(f"fan: expected origin_px, angles_deg and radii_px, got {told!r:.80}")
    return [
        number
        for name in ("origin_px", "angles_deg", "radii_px")
        for number in floats(told.get(name), 2, f"fan.{name}")
    ]


def _attributes(root: ElementTree.Element, name: str) -> dict[str, str]:
    found = next(root.iter(name), None)
    return {} if found is None else dict(found.attrib)


def _numbers(text: str, count: int, name: str) -> tuple[float, ...]:
    try:
        told: list[float] = [float(word) for word in text.split()]
    except ValueError:
        told = []
    return floats(told, count, name)
