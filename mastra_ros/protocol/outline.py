"""Walks over msgpack without decoding it: how many objects there are, and how deep they nest.

An object takes one byte in a message and 56 or more in memory, so the size of a message bounds
neither the memory nor the time that decoding takes. Strings and bytes are stepped over, and not
looked at: a message of 8 MB that is one payload is a handful of steps.
"""

from __future__ import annotations

from ..errors import ProtocolError

OBJECTS_MAX = 8192
"""More than any message of ours has: the largest is a result with 2,048 labels."""
DEPTH_MAX = 16
"""Maps and lists inside each other; a message of ours has at most seven."""

_FIXED, _SIZED, _LIST, _MAP, _REFUSED = range(5)


def _kinds() -> tuple[bytes, bytes]:
    """By first byte: its kind, and its whole size (fixed) or that of its length (all others)."""
    kinds, sizes = bytearray([_FIXED] * 256), bytearray([1] * 256)
    for first in range(0xA0, 0xC0):
        sizes[first] = 1 + (first & 0x1F)  # short strings
    for first in (0xC1, *range(0xC7, 0xCA), *range(0xD4, 0xD9)):
        kinds[first] = _REFUSED  # unused, and extension types, which no message has
    for first, size in {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}.items():
        kinds[first], sizes[first] = _SIZED, size
    for first, size in {0xCA: 5, 0xCB: 9, 0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9}.items():
        sizes[first] = size
    for first, size in {0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9}.items():
        sizes[first] = size
    for first, size in {0xDC: 2, 0xDD: 4}.items():
        kinds[first], sizes[first] = _LIST, size
    for first, size in {0xDE: 2, 0xDF: 4}.items():
        kinds[first], sizes[first] = _MAP, size
    for first in range(0x80, 0x90):
        kinds[first], sizes[first] = _MAP, 0
    for first in range(0x90, 0xA0):
        kinds[first], sizes[first] = _LIST, 0
    return bytes(kinds), bytes(sizes)


_KINDS, _SIZES = _kinds()


def check_outline(data: bytes, objects_max: int = OBJECTS_MAX, depth_max: int = DEPTH_MAX) -> None:
    """ProtocolError unless `data` is one object of at most so many, so deep, and nothing else."""
    kinds, sizes, end = _KINDS, _SIZES, len(data)
    at = 0
    left = 1  # objects that follow on this level
    above: list[int] = []  # and on those above it
    objects = 0
    while True:
        while not left:
            if not above:
                if at > end:
                    raise ProtocolError("envelope: it ends early")
                if at != end:
                    raise ProtocolError(f"envelope: {end - at} bytes after its end")
                return
            left = above.pop()
        left -= 1
        objects += 1
        if at >= end:
            raise ProtocolError("envelope: it ends early")
        first = data[at]
        kind = kinds[first]
        if kind == _FIXED:
            at += sizes[first]
            continue
        size = sizes[first]
        if kind == _SIZED:
            at += 1 + size + int.from_bytes(data[at + 1 : at + 1 + size], "big")
            continue
        if kind == _REFUSED:
            raise ProtocolError(f"envelope: byte 0x{first:02x} begins nothing of ours")
        count = int.from_bytes(data[at + 1 : at + 1 + size], "big") if size else first & 0x0F
        at += 1 + size
        if kind == _MAP:
            count *= 2
        if objects + count > objects_max:
            raise ProtocolError(f"envelope: expected at most {objects_max} objects")
        if len(above) >= depth_max:
            raise ProtocolError(f"envelope: expected at most {depth_max} levels of nesting")
        above.append(left)
        left = count
