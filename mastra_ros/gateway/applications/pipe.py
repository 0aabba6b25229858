"""What the gateway and the process of an application say to each other: msgpack with a length.

The other end may be anything by then, so lengths are checked before anything is read.
"""

from __future__ import annotations

import os
import select
import struct
import time
from typing import Any

import msgpack

MESSAGE_BYTES_MAX = 2**29 + 2**20
"""Of what is said: the largest artefact, and a little."""
_HEAD = struct.Struct(">I")


class PipeEnded(Exception):  # noqa: N818 - named for what happened
    """The other end is gone, or says what nobody of ours says."""


class PipeSilent(Exception):  # noqa: N818 - named for what happened
    """The other end does not answer."""


def write(descriptor: int, message: Any, within_s: float = 3600.0) -> None:
    """Say something; PipeSilent when it is not taken in within the time."""
    packed = msgpack.packb(message, use_bin_type=True)
    view = memoryview(_HEAD.pack(len(packed)) + packed)
    until_s = time.monotonic() + within_s
    os.set_blocking(descriptor, False)
    while view:
        _, ready, _ = select.select([], [descriptor], [], max(0.0, until_s - time.monotonic()))
        if not ready:
            raise PipeSilent
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            continue
        except OSError as error:
            raise PipeEnded(str(error)) from None


def read(descriptor: int, within_s: float | None = None) -> Any:
    """The next message; PipeSilent when it is not there within the time, PipeEnded at the end."""
    until_s = None if within_s is None else time.monotonic() + within_s
    (size,) = _HEAD.unpack(_read_exactly(descriptor, _HEAD.size, until_s))
    if size > MESSAGE_BYTES_MAX:
        raise PipeEnded(f"a message of {size} bytes")
    try:
        return msgpack.unpackb(
            _read_exactly(descriptor, size, until_s), raw=False, max_bin_len=MESSAGE_BYTES_MAX
        )
    except (ValueError, RecursionError) as error:
        raise PipeEnded(f"no message: {error}") from None


def _read_exactly(descriptor: int, size: int, until_s: float | None) -> bytes:
    parts: list[bytes] = []
    while size:
        if until_s is not None:
            left_s = max(0.0, until_s - time.monotonic())
            if not select.select([descriptor], [], [], left_s)[0]:
                raise PipeSilent
        piece = os.read(descriptor, min(size, 2**20))
        if not piece:
            raise PipeEnded("it has ended")
        parts.append(piece)
        size -= len(piece)
    return b"".join(parts)
