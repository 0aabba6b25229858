"""What a device tells of itself each second: its shape, and its form as msgpack.

A status is a map of sections, all of which may be absent; a section that this version does not know
passes if its values are plain, so that devices and gateway need not be of one version. `SHAPE` says
what the known ones hold. Sizes are in bytes, times in ms where the name says so, `*_ns` in ns since
1970 by the device's clock, shares 0 to 1. What is not known (a sensor that there is not) is absent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgpack

from .errors import StatusError
from .packed_maps import unpack_map

STATUS_BYTES_MAX = 4096
"""Largest status, as msgpack."""
VALUES_MAX = 512
DEPTH_MAX = 6
SWITCHES_MAX = 8
"""Changes of the route in one status; the latest are told, the others counted."""

Check = Callable[[str, Any], None]


def _number(name: str, value: Any) -> None:
    if type(value) not in (int, float):
        raise StatusError(f"status: {name}: expected a number, got {type(value).__name__}")


def _count(name: str, value: Any) -> None:
    if type(value) is not int or value < 0:
        raise StatusError(f"status: {name}: expected a whole number from 0, got {value!r:.40}")


def _flag(name: str, value: Any) -> None:
    if type(value) is not bool:
        raise StatusError(f"status: {name}: expected true or false, got {value!r:.40}")


def _text(name: str, value: Any) -> None:
    if type(value) is not str:
        raise StatusError(f"status: {name}: expected text, got {type(value).__name__}")


def _scalar(name: str, value: Any) -> None:
    if type(value) not in (bool, int, float, str):
        raise StatusError(
            f"status: {name}: expected a number, text or truth, got {type(value).__name__}"
        )


def _map(**known: Check) -> Check:
    def check(name: str, value: Any) -> None:
        if type(value) is not dict:
            raise StatusError(f"status: {name}: expected a map, got {type(value).__name__}")
        for key, inner in value.items():
            if key in known:
                known[key](f"{name}.{key}" if name else key, inner)

    return check


def _each(of: Check) -> Check:
    def check(name: str, value: Any) -> None:
        if type(value) is not dict:
            raise StatusError(f"status: {name}: expected a map, got {type(value).__name__}")
        for key, inner in value.items():
            of(f"{name}.{key}", inner)

    return check


def _list(of: Check) -> Check:
    def check(name: str, value: Any) -> None:
        if type(value) not in (list, tuple):
            raise StatusError(f"status: {name}: expected a list, got {type(value).__name__}")
        for place, inner in enumerate(value):
            of(f"{name}[{place}]", inner)

    return check


_SPREAD = _map(p50=_number, p99=_number)

SHAPE = _map(
    at_ns=_count,
    route=_map(
        now=_text,
        results=_each(_count),  # final results since the status before, by origin
        shares=_each(_number),
        age_ms=_SPREAD,
        superseded=_count,
        failed=_count,
        switches=_list(
            _map(at_ns=_count, **{"from": _text}, to=_text, reason=_text, latency_ms=_number)
        ),
        switches_left_out=_count,
    ),
    models=_each(_map(name=_text, version=_text, inference_ms=_SPREAD)),  # by origin
    link=_map(
        connected=_flag,
        rtt_ms=_number,
        rtt_var_ms=_number,
        loss=_number,
        goodput_bps=_number,
        in_flight=_count,
        session=_count,
        uploaded_bytes=_count,
        error=_text,
    ),
    load=_map(
        cpu=_number,
        memory=_number,
        temperature_c=_number,
        clock=_number,
        throttled=_flag,
        queue_frames=_count,
    ),
    codecs=_each(_map(packets=_count, bytes=_count)),  # by codec and quality
    spool=_map(
        packets=_count,
        bytes=_count,
        delivered_late=_count,
        dropped=_count,
        records=_count,
        records_refused=_count,
        set_frames=_count,
    ),
    privacy=_map(mode=_text, open=_flag, sent=_count, masked=_count, withheld=_count, kept=_count),
    pipeline=_each(_count),  # what the application has counted: verdicts, events, pictures
    versions=_each(_text),
    bundle=_map(  # the last three: what became of the latest roll-out
        name=_text, digest=_text, rollout=_text, refused=_text, agreement=_number
    ),
    # By stage.parameter: what the gateway asked for, taken, or refused and why; and whatever live
    # parameter is not as it is declared.
    # Lists stand apart: a gateway of an older version takes scalars alone among the others.
    settings=_map(
        values=_each(_scalar),
        lists=_each(_list(_scalar)),
        refused=_each(_text),
        live=_each(_scalar),
        live_lists=_each(_list(_scalar)),
    ),
    diagnostics=_each(_map(level=_text, message=_text)),  # by node
)
"""Checks a status whose values are plain; raises StatusError."""


def pack_status(status: Mapping[str, Any]) -> bytes:
    """A status as msgpack. Raises StatusError, also where it is too large."""
    check_status(status)
    packed: bytes = msgpack.packb(status, use_bin_type=True)
    if len(packed) > STATUS_BYTES_MAX:
        raise StatusError(f"status: expected at most {STATUS_BYTES_MAX} bytes, got {len(packed)}")
    return packed


def unpack_status(packed: bytes) -> dict[str, Any]:
    """A status that somebody else packed; StatusError unless it is one."""
    status = unpack_map(
        packed,
        "status",
        StatusError,
        bytes_max=STATUS_BYTES_MAX,
        list_max=VALUES_MAX,
        map_max=VALUES_MAX,
    )
    check_status(status)
    return dict(status)


def check_status(status: object) -> None:
    """StatusError unless it is a map of plain values of the shape above."""
    _check_plain(status)
    SHAPE("", status)


def _check_plain(status: object) -> None:
    count = 0
    level: list[Any] = [status]
    for _ in range(DEPTH_MAX):
        inner: list[Any] = []
        for holder in level:
            if type(holder) is dict and not all(type(key) is str for key in holder):
                raise StatusError("status: expected text as keys")
            values = holder.values() if type(holder) is dict else holder
            if type(holder) not in (dict, list, tuple):
                raise StatusError(f"status: expected a map, got {type(holder).__name__}")
            count += len(values)
            if count > VALUES_MAX:
                raise StatusError(f"status: expected at most {VALUES_MAX} values")
            for value in values:
                if type(value) in (dict, list, tuple):
                    inner.append(value)
                else:
                    _check_value(value)
        if not inner:
            return
        level = inner
    raise StatusError(f"status: expected at most {DEPTH_MAX} levels of nesting")


def _check_value(value: object) -> None:
    if type(value) is float and not math.isfinite(value):
        raise StatusError(f"status: expected finite numbers, got {value}")
    if type(value) is int and not -(2**63) <= value < 2**63:
        raise StatusError("status: expected whole numbers of 64 bits")
    if value is not None and type(value) not in (bool, str, int, float):
        raise StatusError(f"status: expected plain values, got {type(value).__name__}")
