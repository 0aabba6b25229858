"""The names of sources: `kind:target?option=value&…`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from ..errors import ConfigError
from ..redaction import redact, redact_uri

FORMS = (
    "synthetic:pcb?seed=N&…",
    "synthetic:crossing?seed=N&…",
    "folder:DIR",
    "file:VIDEO",
    "v4l2:/dev/videoN",
    "rtsp://…",
    "http(s)://…",
)
CROSSING = ("seed", "width", "height", "vehicles_per_minute", "light", "encoding")
"""Options of the drawn crossing."""
OPTIONS: dict[str, tuple[str, ...]] = {
    "synthetic": (
        "seed",
        "width",
        "height",
        "boards_per_minute",
        "motion",
        "gap_px",
        "noise",
        "defect_rate",
        "encoding",
    ),
    "v4l2": ("fourcc",),
}
SCENES = ("pcb", "crossing")
NETWORK = ("rtsp", "rtsps", "http", "https")


@dataclass(frozen=True)
class SourceUri:
    """A source's name in parts. `target` is a path, an address or the name of a scene."""

    kind: str
    target: str
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """For people and logs: without user name and password."""
        if self.kind == "network":
            return redact_uri(self.target)
        query = "&".join(f"{name}={value}" for name, value in self.options.items())
        return redact(f"{self.kind}:{self.target}" + (f"?{query}" if query else ""))


def parse_uri(text: str) -> SourceUri:
    """Take a source's name apart, or raise ConfigError naming the accepted forms."""
    kind, _, rest = text.partition(":")
    kind = kind.strip().lower()
    if kind in NETWORK and rest.startswith("//") and len(rest) > 2:
        return SourceUri("network", f"{kind}:{rest}")
    if kind in ("folder", "file") and rest:
        # file:///a/b, as browsers write it, is the path /a/b.
        return SourceUri(kind, rest[2:] if rest.startswith("///") else rest)
    if kind in OPTIONS and rest:
        target, _, query = rest.partition("?")
        known = CROSSING if (kind, target) == ("synthetic", "crossing") else OPTIONS[kind]
        uri = SourceUri(kind, target, _options(text, known, query))
        if kind != "synthetic" or target in SCENES:
            return uri
    raise ConfigError(f"source: expected {', '.join(FORMS)}; got {redact_uri(text)!r}")


def _options(text: str, known: tuple[str, ...], query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise ConfigError(f"source: expected ?option=value&… in {text!r}") from error
    unknown = [name for name, _ in pairs if name not in known]
    if unknown:
        raise ConfigError(
            f"source: unknown option {', '.join(unknown)} in {text!r}, known are {', '.join(known)}"
        )
    return dict(pairs)
