"""Which requests are ordinary; all others are left to h11."""

from __future__ import annotations

import pytest

from mastra_ros.gateway.door import ordinary as module
from mastra_ros.gateway.door.ordinary import BODY_BYTES_MAX, Ordinary, ordinary

HEAD = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
WHOLE = HEAD + b"X-Own:  two words \t\r\n\r\nabc"


def test_an_ordinary_request_is_cut_out() -> None:
    headers = {b"host": b"a", b"content-length": b"3", b"x-own": b"two words"}
    assert ordinary(WHOLE) == Ordinary("/v2/models/m/infer", headers, b"abc")


@pytest.mark.parametrize("end", range(len(WHOLE)))
def test_a_part_of_one_is_none(end: int) -> None:
    assert ordinary(WHOLE[:end]) is None


@pytest.mark.parametrize(
    "line",
    [
        b"Transfer-Encoding: chunked",
        b"Content-Encoding: gzip",
        b"Expect: 100-continue",
        b"Upgrade: websocket",
        b"Connection: close",
        b"Connection: keep-alive, upgrade",
        b"content-length: 3",
        b"HOST: b",
        b"X-Own : 1",
        b" folded: 1",
        b"X\x00: 1",
        b"X-Own: a\x00b",
        b"X-Own: a\nb",
        b"no colon",
    ],
)
def test_with_an_odd_header_it_is_none(line: bytes) -> None:
    assert ordinary(HEAD + line + b"\r\n\r\nabc") is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"POST", b"GET"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"/v2/models/m/infer", b"/v2/models/%6d/infer"),
        (b"/v2/models/m/infer", b"/v2/models/m/infer?a=b"),
        (b"Host: a\r\n", b""),
        (b"Content-Length: 3", b"Content-Length: +3"),
        (b"Content-Length: 3", b"Content-Length: 4"),
        (b"Content-Length: 3", b"Content-Length: 2"),
        (b"Content-Length: 3\r\n", b""),
        (b"\r\n\r\n", b"\n\n"),
    ],
)
def test_with_another_line_it_is_none(old: bytes, new: bytes) -> None:
    assert ordinary(WHOLE.replace(old, new)) is None


def test_a_large_body_or_head_is_none() -> None:
    size = BODY_BYTES_MAX + 1
    large = HEAD.replace(b": 3", b": %d" % size) + b"\r\n" + bytes(size)
    assert ordinary(large) is None
    assert ordinary(HEAD + b"X: " + b"y" * 5000 + b"\r\n\r\nabc") is None


def test_lines_that_are_remembered_are_bounded_and_change_nothing() -> None:
    for n in range(3 * module._SEEN_MAX):
        line = b"X-Own: %d" % n
        asked = ordinary(HEAD + line + b"\r\n\r\nabc")
        assert asked is not None
        assert asked.headers[b"x-own"] == b"%d" % n
    assert len(module._lines) <= module._SEEN_MAX
    assert ordinary(HEAD + b"X-Own: 1\r\nx-own: 1\r\n\r\nabc") is None
    assert ordinary(WHOLE) == ordinary(WHOLE)
