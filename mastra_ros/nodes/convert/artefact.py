"""Artefacts -> mastra_ros/Artefact."""

from __future__ import annotations

from array import array

from std_msgs.msg import Header

from ...bridge.artefacts import Received
from ...msg import Artefact as ArtefactMsg
from .image import stamp_to_ros

INLINE_BYTES_MAX = 2**20
"""Larger ones are told by their file alone."""


def artefact_to_ros(received: Received, stamp_ns: int) -> ArtefactMsg:
    """What has come -> mastra_ros/Artefact. OSError where its file cannot be read."""
    offer, data = received.offer, array("B")
    if offer.size <= INLINE_BYTES_MAX:
        data.frombytes(received.path.read_bytes())
    return ArtefactMsg(
        header=Header(stamp=stamp_to_ros(stamp_ns)),
        kind=offer.kind,
        name=offer.name,
        version=offer.version,
        media_type=offer.media_type,
        sha256=offer.sha256,
        size=offer.size,
        data=data,
        path=str(received.path),
    )
