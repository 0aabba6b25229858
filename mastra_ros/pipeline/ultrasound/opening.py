"""Opens the source of a probe, and its calibration, by their names."""

from __future__ import annotations

from dataclasses import replace

from mastra_ros.errors import ConfigError, RecordError
from mastra_ros.pipeline.ultrasound.calibration import Calibration, of_phantom, read_calibration
from mastra_ros.pipeline.ultrasound.phantom import Phantom
from mastra_ros.pipeline.ultrasound.region import Region
from mastra_ros.pipeline.ultrasound.source import ProbeSource, parse_source
from mastra_ros.pipeline.ultrasound.source_igs import IgsSource
from mastra_ros.pipeline.ultrasound.source_igtl import IgtlSource
from mastra_ros.pipeline.ultrasound.source_synthetic import SyntheticSource, phantom_config
from mastra_ros.share import home_path

SYNTHETIC = "synthetic:"


def open_source(text: str, *, stall_s: float = 3.0) -> ProbeSource:
    """ConfigError, SourceError or DependencyError where it cannot be opened."""
    uri = parse_source(text)
    if uri.kind == "igs":
        return IgsSource(uri)
    if uri.kind == "igtl":
        return IgtlSource(uri, stall_s)
    return SyntheticSource(uri)


def open_calibration(text: str, region: str = "") -> Calibration | None:
    """Of a file, or of a drawn phantom by its name; None where there is none. ConfigError.

    region: what may leave, in place of what the calibration says; see `parse_region`.
    """
    if not text:
        return None
    if text.startswith(SYNTHETIC):
        calibration = of_phantom(Phantom(phantom_config(parse_source(text))))
    else:
        calibration = read_calibration(home_path(text))
    return replace(calibration, region=parse_region(region)) if region else calibration


def parse_region(text: str) -> Region:
    """`x,y,width,height`, or that and `fan x,y,start,stop,near,far`. ConfigError."""
    clip, _, fan = text.partition("fan")
    try:
        sides = [int(word) for word in clip.strip().rstrip(",").split(",")]
        rays = [float(word) for word in fan.split(",")] if fan.strip() else None
        return Region.from_map({"clip_px": sides, "fan": rays})
    except (ValueError, RecordError) as error:
        raise ConfigError(
            f"region: expected x,y,width,height in px, and perhaps fan x,y,start,stop,near,far; "
            f"got {text!r:.80}: {error}"
        ) from None
