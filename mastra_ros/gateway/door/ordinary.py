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
_START = re.compile(rb"POST (/[A-Za-z0-9._~/-]{1,512}) HTTP/1\.1")
_LINE = re.compile(
    rb"(" + _TOKEN + rb"):[ \t]*((?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?)[ \t]*"
)
_SEEN_MAX = 1024
"""Lines that need not be looked at again: a client's are the same in most of its requests."""
_starts: dict[bytes, str] = {}
_lines: dict[bytes, tuple[bytes, bytes]] = {}
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
    end = data.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX)
    if end < 0:
        return None
    start, *lines = data[:end].split(b"\r\n")
    path = _starts.get(start) or _path(start)
    headers: dict[bytes, bytes] = {}
    for line in lines:
        header = _lines.get(line) or _header(line)
        if header is None or header[0] in headers:
            return None
        headers[header[0]] = header[1]
    length = headers.get(b"content-length", b"")
    if not path or b"host" not in headers or not length.isdigit() or len(length) > 6:
        return None
    if headers.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    body = data[end + 4 :]
    if int(length) != len(body) or len(body) > BODY_BYTES_MAX:
        return None
    return Ordinary(path, headers, body)


def _path(start: bytes) -> str:
    """The path of a first line; empty where that is not an ordinary one."""
    match = _START.fullmatch(start)
    if match is None:
        return ""
    if len(_starts) >= _SEEN_MAX:
        _starts.clear()
    path = _starts[start] = match[1].decode("ascii")
    return path


def _header(line: bytes) -> tuple[bytes, bytes] | None:
    """Name, in lower case, and value of a line, if it is an ordinary one."""
    match = _LINE.fullmatch(line)
    if match is None or match[1].lower() in _OUT_OF_THE_WAY:
        return None
    if len(_lines) >= _SEEN_MAX:
        _lines.clear()
    header = _lines[line] = match[1].lower(), match[2]
    return header
