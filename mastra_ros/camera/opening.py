"""Opens the source that the configuration names."""

from __future__ import annotations

from ..config import CameraConfig
from ..pictures import PictureReader
from .source import Source, Stamper
from .uri import parse_uri


def open_source(
    config: CameraConfig,
    stream: str = "main",
    *,
    stamper: Stamper | None = None,
    reader: PictureReader | None = None,
) -> Source:
    """Open the source named by `config.source`; its frames belong to `stream`.

    `stamper` gives the stamps; whoever opens a source again passes the same one, so that stamps
    go on increasing. Without it a new one as `config.stamps` says. `reader` knows the depth of the
    pictures, and what looks wrong with them; without it a new one as `config` says.

    Raises:
        ConfigError: the name or an option makes no sense.
        SourceError: the source is not there or cannot be read.
        DependencyError: a package that this kind of source needs is not installed.
    """
    uri = parse_uri(config.source)
    stamper = stamper or Stamper(config.stamps)
    reader = reader or PictureReader(config)
    if uri.kind == "synthetic":
        if uri.target == "crossing":
            from .crossing import CrossingSource, crossing_options

            return CrossingSource(crossing_options(uri, config), config, stream, stamper)
        from .synthetic import SyntheticSource, line_options

        return SyntheticSource(line_options(uri, config), config, stream, stamper)
    if uri.kind == "folder":
        from .folder import FolderSource

        return FolderSource(uri.target, config, stream, stamper, reader)
    if uri.kind == "file":
        from .video import VideoSource

        return VideoSource(uri.target, config, stream, stamper, reader)
    if uri.kind == "v4l2":
        from .v4l2 import open_v4l2

        return open_v4l2(uri, config, stream, stamper, reader)
    from .network import open_network

    return open_network(uri, config, stream, stamper, reader)


def check_source(config: CameraConfig) -> None:
    """Raise ConfigError where `config` cannot be meant; opens nothing."""
    PictureReader(config)
    uri = parse_uri(config.source)
    if uri.kind == "synthetic":
        if uri.target == "crossing":
            from .crossing import crossing_options

            crossing_options(uri, config)
            return
        from .synthetic import line_options

        line_options(uri, config)
