"""Opens the source of a probe by its name."""

from __future__ import annotations

from mastra_ros.pipeline.ultrasound.source import ProbeSource, parse_source
from mastra_ros.pipeline.ultrasound.source_igs import IgsSource
from mastra_ros.pipeline.ultrasound.source_igtl import IgtlSource
from mastra_ros.pipeline.ultrasound.source_synthetic import SyntheticSource


def open_source(text: str, *, stall_s: float = 3.0) -> ProbeSource:
    """ConfigError, SourceError or DependencyError where it cannot be opened."""
    uri = parse_source(text)
    if uri.kind == "igs":
        return IgsSource(uri)
    if uri.kind == "igtl":
        return IgtlSource(uri, stall_s)
    return SyntheticSource(uri)
