"""Records: small durable facts of an application, which go up to the gateway and count once.

What an application says is a `Record`; its body is a map of plain values, kept and sent as msgpack.
Which record it is, is told by `RecordName`: device, stream and kind, the epoch of the spool that
took it (random, so that a device installed anew begins anew), and a number that counts from 1
within these.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgpack

from .errors import RecordError
from .packed_maps import unpack_map
from .types import FRAME_ID

BODY_BYTES_MAX = 65_536
"""Largest body of a record, as msgpack."""
VALUES_MAX = 8192
"""Most values in one body, keys included."""
DEPTH_MAX = 8
"""Maps and lists inside each other."""
KIND = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
STAMP_NS_MAX = 2**31 * 10**9
"""Stamps are those of ROS headers, whose seconds have 32 bits."""


class RecordName(NamedTuple):
    """Names one record of all devices."""

    device: str
    stream: str
    kind: str
    epoch: str
    seq: int


@dataclass(frozen=True)
class Record:
    """What an application wants kept. Raises RecordError where it makes no sense.

    kind: what sort of fact, a name of 1 to 64 characters. stamp_ns: when it was so. body: a map of
    plain values (none, bool, whole numbers of 64 bits, finite numbers, text, bytes, lists, maps).
    id: given by whoever makes it, so that the same record told twice is kept once; empty: no id.
    """

    kind: str
    stamp_ns: int
    body: Mapping[str, Any]
    id: str = ""

    def __post_init__(self) -> None:
        check_kind(self.kind)
        check_stamp(self.stamp_ns)
        if type(self.id) is not str or not FRAME_ID.fullmatch(self.id):
            raise RecordError(f"record: expected an id ({FRAME_ID.pattern}), got {self.id!r:.80}")
        object.__setattr__(self, "body", dict(self.body))
        self.packed()

    def packed(self) -> bytes:
        """The body as msgpack."""
        return pack_body(self.body)


def check_kind(kind: object) -> None:
    """RecordError unless it may be the kind of a record."""
    if type(kind) is not str or not KIND.fullmatch(kind):
        raise RecordError(f"record: expected a kind ({KIND.pattern}), got {kind!r:.80}")


def check_stamp(stamp_ns: object) -> None:
    """RecordError unless it is a time in ns that a ROS header can carry."""
    if type(stamp_ns) is not int or not -STAMP_NS_MAX <= stamp_ns < STAMP_NS_MAX:
        raise RecordError(f"record: expected a stamp in ns of 32-bit seconds, got {stamp_ns!r:.80}")


def pack_body(body: Mapping[str, Any]) -> bytes:
    """A map of plain values as msgpack; RecordError for anything else."""
    _check_values(body)
    try:
        packed: bytes = msgpack.packb(body, use_bin_type=True)
    except (ValueError, TypeError, OverflowError, UnicodeEncodeError) as error:
        raise RecordError(f"record: expected plain values ({error})") from None
    if len(packed) > BODY_BYTES_MAX:
        raise RecordError(f"record: expected at most {BODY_BYTES_MAX} bytes, got {len(packed)}")
    return packed


def unpack_body(packed: bytes) -> dict[str, Any]:
    """The map in msgpack that somebody else made; RecordError unless it is one of plain values."""
    body = unpack_map(
        packed,
        "record",
        RecordError,
        bytes_max=BODY_BYTES_MAX,
        list_max=VALUES_MAX,
        map_max=VALUES_MAX // 2,
    )
    _check_values(body)
    return dict(body)


def _check_values(body: object) -> None:
    """RecordError unless it is a map of plain values, of few enough and not nested too deep."""
    if not isinstance(body, Mapping):
        raise RecordError(f"record: expected a map, got {type(body).__name__}")
    count = 0
    level: list[Any] = [dict(body)]
    for _ in range(DEPTH_MAX):
        inner: list[Any] = []
        for holder in level:
            values = holder
            if type(holder) is dict:
                count += len(holder)
                for key in holder:
                    if type(key) is not str:
                        raise RecordError(f"record: expected text as keys, got {key!r:.80}")
                values = holder.values()
            count += len(values)
            if count > VALUES_MAX:
                raise RecordError(f"record: expected at most {VALUES_MAX} values")
            for value in values:
                if type(value) in (dict, list, tuple):
                    inner.append(value)
                else:
                    _check_value(value)
        if not inner:
            return
        level = inner
    raise RecordError(f"record: expected at most {DEPTH_MAX} levels of nesting")


def _check_value(value: object) -> None:
    if type(value) is float:
        if not math.isfinite(value):
            raise RecordError(f"record: expected finite numbers, got {value}")
    elif type(value) is int:
        if not -(2**63) <= value < 2**63:
            raise RecordError("record: expected whole numbers of 64 bits")
    elif value is not None and type(value) not in (bool, str, bytes):
        raise RecordError(f"record: expected plain values, got {type(value).__name__}")
