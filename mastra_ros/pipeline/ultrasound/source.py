"""Where pictures and poses of a probe come from, and how such a source is named.

    igs:FILE.igs.mha?poses=FILE&tool=Probe&reference=Reference&scan=FILE.xml
    igtl://host:18944?image=Image&transform=ProbeToReference
    synthetic:ultrasound?seed=1&frames=240&noise_mm=0.5&noise_deg=0.5&lag_ms=65&drop=0.5

Poses are probe to reference, in mm. Stamps are ns on the source's own clock, the same for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl

from numpy.typing import NDArray

from mastra_ros.errors import ConfigError
from mastra_ros.pipeline.ultrasound.rigid import Matrix
from mastra_ros.redaction import redact_uri

FORMS = (
    "igs:FILE.igs.mha",
    "igtl://host:port",
    "synthetic:ultrasound?seed=N",
)
OPTIONS: dict[str, tuple[str, ...]] = {
    "igs": ("poses", "tool", "reference", "scan", "rate"),
    "igtl": ("image", "transform"),
    "synthetic": (
        *("seed", "frames", "rate", "pose_rate", "speed", "width", "height", "spacing"),
        *("wobble_mm", "wobble_deg", "noise_mm", "noise_deg", "lag_ms", "drop"),
    ),
}


@dataclass(frozen=True)
class Picture:
    """uint8 (height, width), x to the marked side of the probe, y away from it."""

    stamp_ns: int
    image: NDArray[Any]


@dataclass(frozen=True)
class TimedPose:
    """matrix: probe to reference; None where the tracker says that it is invalid."""

    stamp_ns: int
    matrix: Matrix | None


Event = Picture | TimedPose


class ProbeSource(Protocol):
    """Gives pictures and poses in the order in which they were taken.

    live: they come when they happen (None: nothing has, for a moment); else whoever plays them
    waits by their stamps. notes: what is doubtful about them, with numbers.
    """

    live: bool
    notes: tuple[str, ...]
    image_to_probe: Matrix | None

    def events(self) -> Iterator[Event | None]:
        """All of them, once. SourceError where it cannot go on."""
        ...

    def close(self) -> None:
        """Free what it holds; ends `events`."""
        ...


@dataclass(frozen=True)
class ProbeUri:
    """The name of a source in parts."""

    kind: str
    target: str
    options: Mapping[str, str]

    def number(self, name: str, default: float) -> float:
        """An option that is a number. ConfigError where it is none."""
        text = self.options.get(name)
        try:
            return default if text is None else float(text)
        except ValueError:
            raise ConfigError(f"source: {name}: expected a number, got {text!r:.40}") from None

    def whole(self, name: str, default: int) -> int:
        """An option that is a whole number."""
        number = self.number(name, default)
        if number != number or abs(number) > 2**53 or number != int(number):
            raise ConfigError(f"source: {name}: expected a whole number, got {number:g}")
        return int(number)


def parse_source(text: str) -> ProbeUri:
    """Take the name of a source apart, or ConfigError with what is accepted."""
    kind, _, rest = text.partition(":")
    kind = kind.strip().lower()
    target, _, query = rest.partition("?")
    if kind == "igtl":
        target = target.removeprefix("//") if target.startswith("//") else ""
    good = kind in OPTIONS and target and (kind != "synthetic" or target == "ultrasound")
    if not good:
        raise ConfigError(f"source: expected {', '.join(FORMS)}; got {redact_uri(text)!r:.120}")
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        raise ConfigError(f"source: expected ?option=value&…, got {query!r:.80}") from None
    if unknown := [name for name in options if name not in OPTIONS[kind]]:
        raise ConfigError(
            f"source: unknown option {', '.join(unknown)}, known are {', '.join(OPTIONS[kind])}"
        )
    return ProbeUri(kind, target, options)
