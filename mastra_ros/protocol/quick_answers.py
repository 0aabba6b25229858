"""What a gateway says of an ordinary frame, made of what has been checked already.

The frame's own message was checked when it came, detections are when they are made, and what is
said of the model is the same for all of its frames. So nothing is checked here again; what is made
is what `ResultMessage` and `Ack` would make of it, bit for bit.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

import msgspec

from ..errors import ProtocolError
from ..types import Detections, Result, Route
from .envelope import encode
from .messages import DETECTIONS_MAX, Ack, FrameMessage, ResultMessage

_LITTLE = sys.byteorder == "little"
_pack = msgspec.msgpack.Encoder().encode


def result_bytes(
    message: FrameMessage,
    found: Detections,
    *,
    model: str,
    version: str,
    run_ms: float,
    bytes_max: int,
) -> bytes:
    """`encode(ResultMessage.from_result(…))` of the cloud's result. Raises ProtocolError."""
    if not _LITTLE or len(found) > DETECTIONS_MAX:
        return _slowly(message, found, model, version, run_ms, bytes_max)
    data = _pack(
        (
            ResultMessage.TYPE_ID,
            {
                "stream": message.stream,
                "stamp_ns": message.stamp_ns,
                "origin": Route.CLOUD.value,
                "boxes": found.boxes.tobytes(),
                "scores": found.scores.tobytes(),
                "classes": found.classes.tobytes(),
                **_of_model(found.labels, model, version),
                "inference_ms": run_ms,
                "late": message.late,
                "error": "",
                "id": message.id,
            },
        )
    )
    if len(data) > bytes_max:
        raise ProtocolError(f"ResultMessage: expected at most {bytes_max} bytes, got {len(data)}")
    return data


def acknowledgement(message: FrameMessage, *, duplicate: bool, held_us: int) -> Ack:
    """The `Ack` of a frame."""
    made = Ack.__new__(Ack)
    made.__dict__.update(
        stream=message.stream,
        stamp_ns=message.stamp_ns,
        duplicate=duplicate,
        held_us=held_us,
        id=message.id,
    )
    return made


@lru_cache(64)
def _of_model(labels: tuple[str, ...], model: str, version: str) -> dict[str, Any]:
    """These fields as the message has them, checked."""
    checked = ResultMessage("a", 0, Route.CLOUD.value, labels=labels, model=model, version=version)
    return {"labels": checked.labels, "model": checked.model, "version": checked.version}


def _slowly(
    message: FrameMessage,
    found: Detections,
    model: str,
    version: str,
    run_ms: float,
    bytes_max: int,
) -> bytes:
    result = Result(
        key=message.key,
        origin=Route.CLOUD,
        detections=found,
        model=model,
        model_version=version,
        late=message.late,
        inference_ms=run_ms,
    )
    return encode(ResultMessage.from_result(result), bytes_max)
