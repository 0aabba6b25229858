"""The ordinary `FrameMessage` out of its bytes, by msgspec with the types of its fields known.

What is taken here `envelope.decode` would take, and make the same of; all else is left to it, and
it says what is wrong. So there is one place that refuses. A frame with maps or lists in its meta,
with a field that is unknown or there twice, or with more than 15 fields is no ordinary one, which
bounds the objects and their depth. Names and ids are looked at once: most frames have the same.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ..types import FRAME_ID, MAX_SIDE_PX, PacketKind, fits_reference
from .checks import STAMP_S_MAX, is_name
from .messages import FrameMessage

_START = bytes((0x92, FrameMessage.TYPE_ID))
_STAMP_NS = STAMP_S_MAX * 10**9
_META_MAX = 64
_TEXT_MAX = 1024
_INT64 = 2**63
_KINDS = {kind.value: kind for kind in PacketKind}
_SEEN_MAX = 4096
_names: set[str] = set()

_Plain = str | int | float | bool | None


class _Fields(msgspec.Struct, forbid_unknown_fields=True):
    stream: str
    stamp_ns: int
    kind: str
    width_px: int
    height_px: int
    encoding: str
    payload: bytes
    reference_ns: int = 0
    meta: dict[str, _Plain] = msgspec.field(default_factory=dict)
    deadline_ms: float = 0.0
    hard: bool = False
    late: bool = False
    id: str = ""
    clearance: str = ""


_decoder = msgspec.msgpack.Decoder(tuple[Literal[3], _Fields])
_NAMES = tuple(_Fields.__struct_fields__)


def quick_frame(data: bytes) -> FrameMessage | None:
    """The frame, if it is an ordinary one that is sound."""
    if data[:2] != _START or len(data) < 3 or data[2] & 0xF0 != 0x80:
        return None
    try:
        _, fields = _decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if not _sound(fields):
        return None
    made = FrameMessage.__new__(FrameMessage)
    made.__dict__.update({name: getattr(fields, name) for name in _NAMES})
    return made


def _sound(fields: _Fields) -> bool:
    """All that `FrameMessage` checks of its fields beyond their types, in plain text as it is."""
    kind = _KINDS.get(fields.kind)
    return (
        kind is not None
        and _known_name(fields.stream)
        and -_STAMP_NS <= fields.stamp_ns < _STAMP_NS
        and -_STAMP_NS <= fields.reference_ns < _STAMP_NS
        and 1 <= fields.width_px <= MAX_SIDE_PX
        and 1 <= fields.height_px <= MAX_SIDE_PX
        and 0.0 <= fields.deadline_ms <= 1e9
        and len(fields.encoding) <= 64
        and _plain_text(fields.encoding)
        and len(fields.clearance) <= 256
        and _plain_text(fields.clearance)
        and FRAME_ID.fullmatch(fields.id) is not None
        and (not fields.meta or _plain_meta(fields.meta))
        and fits_reference(kind, fields.reference_ns)
    )


def _plain_text(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _known_name(name: str) -> bool:
    if name in _names:
        return True
    if not is_name(name):
        return False
    if len(_names) >= _SEEN_MAX:
        _names.clear()
    _names.add(name)
    return True


def _plain_meta(meta: dict[str, _Plain]) -> bool:
    if len(meta) > _META_MAX:
        return False
    for key, value in meta.items():
        if len(key) > 64:
            return False
        if type(value) is str and len(value) > _TEXT_MAX:
            return False
        if type(value) is int and not -_INT64 <= value < _INT64:
            return False
    return True
