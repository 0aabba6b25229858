"""Bytes <-> messages: a msgpack array of the type's number and a map of its fields.

    [3, {"stream": "main", "stamp_ns": 1700…, "payload": <raw bytes>, …}]

Fields that we do not know are ignored, so that a newer peer may add some. Types 1 to 63 belong
to the version agreed on, and an unknown one breaks the protocol; types 64 to 127 are optional
extensions, and an unknown one is skipped (`decode` gives None). Whatever the bytes are, only
ProtocolError is raised. Before anything is decoded the objects are counted (`outline.py`), so that
no message makes more of them than one of ours could need.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import msgpack

from ..errors import ProtocolError
from .extensions import EXTENDING
from .messages import LABELS_MAX, MESSAGES, Message
from .outline import check_outline
from .quick import quick_frame

MESSAGE_BYTES_MAX = 8_388_608
"""Largest message where nothing else is said."""

EXTENSIONS = range(64, 128)
"""Types that a peer may use and we may skip."""

ALL_MESSAGES = MESSAGES + EXTENDING
_BY_ID = {cls.TYPE_ID: cls for cls in ALL_MESSAGES}
_NAMES = {cls: tuple(f.name for f in dataclasses.fields(cls)) for cls in ALL_MESSAGES}
_REQUIRED = {
    cls: frozenset(
        f.name
        for f in dataclasses.fields(cls)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    )
    for cls in ALL_MESSAGES
}


def encode(message: Message, bytes_max: int = MESSAGE_BYTES_MAX) -> bytes:
    """The bytes of one message; ProtocolError when there are more than `bytes_max`."""
    fields = vars(message)  # in the order in which they are declared
    names = _NAMES[type(message)]
    if len(fields) != len(names):
        fields = {name: getattr(message, name) for name in names}
    try:
        data: bytes = msgpack.packb((message.TYPE_ID, fields), use_bin_type=True)
    except UnicodeEncodeError as error:  # a lone surrogate, such as from a file's name
        raise ProtocolError(f"{type(message).__name__}: not Unicode text ({error})") from None
    if len(data) > bytes_max:
        raise ProtocolError(
            f"{type(message).__name__}: expected at most {bytes_max} bytes, got {len(data)}"
        )
    return data


def decode(data: bytes, bytes_max: int = MESSAGE_BYTES_MAX) -> Message | None:
    """The message in `data`; None for an extension that we do not know; else ProtocolError."""
    if len(data) <= bytes_max and (frame := quick_frame(data)) is not None:
        return frame
    return decode_slowly(data, bytes_max)


def decode_slowly(data: bytes, bytes_max: int = MESSAGE_BYTES_MAX) -> Message | None:
    """As `decode`, of whatever message: the one place where any is refused."""
    type_id, fields = _unpack(data, bytes_max)
    cls = _BY_ID.get(type_id)
    if cls is None:
        if type_id in EXTENSIONS:
            return None
        raise ProtocolError(f"envelope: type {type_id} is unknown")
    missing = _REQUIRED[cls] - fields.keys()
    if missing:
        raise ProtocolError(f"{cls.__name__}: {', '.join(sorted(missing))} missing")
    return cls(**{name: fields[name] for name in _NAMES[cls] if name in fields})


def _unpack(data: bytes, bytes_max: int) -> tuple[int, Mapping[str, Any]]:
    if len(data) > bytes_max:
        raise ProtocolError(f"envelope: expected at most {bytes_max} bytes, got {len(data)}")
    check_outline(data)
    try:
        # A length in the data is refused above these bounds before anything is allocated;
        # str and bin are views of `data` until they are copied, so its own size bounds them.
        envelope = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_array_len=LABELS_MAX,
            max_map_len=256,
            max_ext_len=0,
        )
    except ValueError as error:  # the base of all that msgpack raises for bad input
        raise ProtocolError(f"envelope: {str(error) or type(error).__name__}") from None
    if type(envelope) is not list or len(envelope) != 2:
        raise ProtocolError("envelope: expected an array of type and fields")
    type_id, fields = envelope
    if type(type_id) is not int:
        raise ProtocolError(f"envelope: expected a whole number as type, got {type(type_id)}")
    if type(fields) is not dict or not all(type(name) is str for name in fields):
        raise ProtocolError("envelope: expected a map of fields with string names")
    return type_id, fields
