"""Frames and results as applications see them, from what their host has sent; in the process."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import MastraError
from ...pipeline.application import SeenFrame, SeenLive, SeenResult
from ...protocol import FrameMessage, ResultMessage, decode
from ...protocol.sets import FRAME_BYTES_MAX
from ...types import FrameKey, PacketKind

PIXELS_MAX = 67_108_864
STORED_BYTES_MAX = 16_777_216
"""Of a result."""


def frame_as_sent(kept: Any) -> list[Any]:
    """A `KeptFrame` as plain values."""
    return [kept.id, *kept.name, kept.sequence, kept.stamp_ns, kept.committed_s, kept.data]


def make_frame(raw: list[Any]) -> SeenFrame:
    """A frame with its image, decoded; what cannot be decoded has an error instead."""
    from ...compression import Decoder

    place, device, stream, name, sequence, stamp_ns, committed_s, data = raw
    seen = SeenFrame(place, device, stream, name, sequence, stamp_ns, committed_s, {})
    if not data:
        return replace(seen, ends=True)
    message = decode(data, FRAME_BYTES_MAX)
    assert isinstance(message, FrameMessage)
    seen = replace(seen, meta=dict(message.meta), encoding=message.encoding)
    if message.kind == PacketKind.FEATURES.value:
        return replace(seen, error="features, and no picture")
    try:
        frame = Decoder(1, PIXELS_MAX, video=False).decode(message.to_packet())
    except MastraError as error:
        return replace(seen, error=str(error)[:300])
    return replace(seen, image=frame.image)


def make_live(raw: list[Any], descriptor: int) -> SeenLive:
    """A live frame, whose picture lies in the file of this descriptor."""
    place, device, stream, stamp_ns, id_, shown_s, encoding, shape, dtype, data, left_out = raw
    image = np.empty(shape, dtype)
    flat, done = image.data.cast("B"), 0
    while done < len(flat):
        got = os.preadv(descriptor, [flat[done:]], done)
        if not got:
            raise OSError(f"a picture of {len(flat)} bytes ends after {done}")
        done += got
    message = decode(data, STORED_BYTES_MAX)
    assert isinstance(message, ResultMessage)
    key = FrameKey(stream, stamp_ns, id_)
    return SeenLive(*(place, device, key, shown_s, encoding, image, message.to_result(), left_out))


def result_as_sent(kept: Any) -> list[Any]:
    """A `KeptResult` as plain values."""
    return [kept.id, kept.device, kept.committed_s, kept.data]


def make_result(raw: list[Any]) -> SeenResult:
    """A result."""
    place, device, committed_s, data = raw
    message = decode(data)
    assert isinstance(message, ResultMessage)
    return SeenResult(place, device, committed_s, message.to_result())
