"""Jobs into what the process of a model is asked, and what it tells into what they become."""

from __future__ import annotations

import numpy as np

from .. import errors
from ..errors import MastraError, ModelError
from ..types import EIGHT_BIT, Frame
from .apart import wire
from .group import Job

_TOLD = {
    name: getattr(errors, name)
    for name in (
        *("CodecError", "FrameError", "LinkError", "ModelError", "ProtocolError"),
        *("ReferenceMissing", "StoreError"),
    )
}
"""Errors that a process may tell of; all others are a ModelError here."""


def error_of(told: wire.Told) -> MastraError:
    """What went wrong with a frame."""
    kind: type[MastraError] = _TOLD.get(told.error, ModelError)
    return kind(told.text)


def asked(job: Job, *, looking: bool) -> wire.Asked:
    """What the process is asked. looking: somebody wants live frames."""
    message = job.message
    return wire.Asked(
        *job.id,
        message.kind,
        message.width_px,
        message.height_px,
        message.encoding,
        message.reference_ns,
        message.late,
        (looking and not message.late) or job.decoder.looked(),
        message.payload,
    )


def frame_of(job: Job, picture: wire.Picture) -> Frame:
    """The picture that came back. Raises WireBroken for pixels that are none."""
    kind = np.uint16 if picture.encoding in EIGHT_BIT else np.uint8
    try:
        image = np.frombuffer(picture.pixels, kind).reshape(picture.shape)
        return Frame(job.message.key, image, picture.encoding)
    except (ValueError, MastraError) as error:
        raise wire.WireBroken(f"no picture: {error}") from None
