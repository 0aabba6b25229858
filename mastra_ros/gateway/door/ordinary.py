"""The ordinary request of HTTP/1.1: a whole POST with its length, and nothing out of the way.

Every other one, and every one that is not wholly there, is left to h11, which knows all the rest.
So what is not understood here is never refused here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HEAD_BYTES_MAX = 4096
BODY_BYTES_MAX = 65_536

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_HEAD = re.compile(
    rb"POST (/[A-Za-z0-9._~/-]{1,512}) HTTP/1\.1\r\n"
    rb"((?:" + _TOKEN + rb":[ \t]*(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?[ \t]*\r\n)+)\r\n"
)
_OUT_OF_THE_WAY = frozenset(
    (b"transfer-encoding", b"content-encoding", b"expect", b"upgrade", b"trailer", b"te")
)
"""Headers that a request is not ordinary with."""


@dataclass(frozen=True)
class Ordinary:
    """A request; names of headers are lower case, and each stands once."""

    path: str
    headers: dict[bytes, bytes]
    body: bytes


def ordinary(data: bytes) -> Ordinary | None:
    """The request that `data` is, if it is an ordinary one and no more."""
    match = _HEAD.match(data, 0, HEAD_BYTES_MAX)
    if match is None:
        return None
    headers: dict[bytes, bytes] = {}
    for line in match[2].split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in headers or name in _OUT_OF_THE_WAY:
            return None
        headers[name] = value.strip(b" \t")
    length = headers.get(b"content-length", b"")
    if b"host" not in headers or not length.isdigit() or len(length) > 6:
        return None
    if headers.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    end = match.end()
    if int(length) != len(data) - end or len(data) - end > BODY_BYTES_MAX:
        return None
    return Ordinary(match[1].decode("ascii"), headers, data[end:])
