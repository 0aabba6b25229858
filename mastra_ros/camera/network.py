"""Cameras and streams on the network: RTSP, and whatever FFmpeg reads over HTTP (MJPEG, HLS)."""

from __future__ import annotations

from ..config import CameraConfig
from ..pictures import PictureReader
from .container import VideoContainer
from .live import LiveSource
from .source import Stamper
from .uri import SourceUri

OPTIONS = {
    # Over TCP a lost packet delays a frame instead of smearing it.
    "rtsp_transport": "tcp",
    "flags": "low_delay",
}
# No `nobuffer`: it throws away what was read to find out the format, which of a camera that answers
# with a single picture is all; and what waits is drained at once anyway.


def open_network(
    uri: SourceUri, config: CameraConfig, stream: str, stamper: Stamper, reader: PictureReader
) -> LiveSource:
    """Connect; each wait for the network lasts at most `stall_timeout_s`."""
    limit_s = config.stall_timeout_s
    container = VideoContainer(uri.target, str(uri), timeouts_s=(limit_s, limit_s), options=OPTIONS)
    return LiveSource(container, config, stream, stamper, reader)
