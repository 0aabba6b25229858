"""Bodies over HTTP: their limit, their codings, and that a refusal reaches who is sending."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import ssl
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastra_ros.gateway.bodies import BadRequest, decoded
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.protocol.keys import load_device_key
from mastra_ros.protocol.tokens import sign_token

Http = Callable[..., httpx.Response]
Picture = Callable[..., np.ndarray]

INFER = "/v2/models/white_cells/infer"
LIMIT_BYTES = 1_000_000
WAIT_S = 60.0


def binary_request(image: np.ndarray) -> tuple[bytes, dict[str, str]]:
    """A request with the pixels as bytes behind its JSON, as tritonclient sends it."""
    tensor = {
        "name": "image",
        "shape": list(image.shape),
        "datatype": "UINT8",
        "parameters": {"binary_data_size": image.nbytes},
    }
    header = json.dumps({"inputs": [tensor]}).encode()
    return header + image.tobytes(), {"Inference-Header-Content-Length": str(len(header))}


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


CODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "gzip of two members": ("gzip", lambda d: gzip.compress(d[:9]) + gzip.compress(d[9:])),
    "deflate": ("deflate", zlib.compress),
    "deflate without zlib": ("deflate", raw_deflate),
    "upper case": ("GZip", gzip.compress),
    "identity": ("identity", lambda data: data),
}


class Client:
    """Speaks HTTP over TLS by hand: it sends everything before it reads, as most clients do."""

    def __init__(self, port: int, tls: ssl.SSLContext, token: str) -> None:
        raw = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
        self._socket = tls.wrap_socket(raw, server_hostname="127.0.0.1")
        self._token = token

    def head(self, path: str, *fields: str, method: str = "POST") -> None:
        authorization = [f"Authorization: Bearer {self._token}"] if self._token else []
        lines = [f"{method} {path} HTTP/1.1", "Host: gateway", *authorization, *fields, "", ""]
        self._socket.sendall("\r\n".join(lines).encode())

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def answer(self) -> tuple[int, str, dict[str, Any]]:
        """Status, head and JSON of the answer, or None in its place where it has no body."""
        got = b""
        while b"\r\n\r\n" not in got:
            got += self._receive()
        head, _, body = got.partition(b"\r\n\r\n")
        fields = head.decode().lower()
        length = int(fields.partition("content-length: ")[2].partition("\r\n")[0] or 0)
        while len(body) < length:
            body += self._receive()
        return int(head.split()[1]), fields, json.loads(body) if body else {}

    def ended(self) -> bool:
        """Whether the gateway closes the connection, having said all."""
        try:
            return self._socket.recv(1) == b""
        except ssl.SSLEOFError:
            return True

    def close(self) -> None:
        self._socket.close()

    def _receive(self) -> bytes:
        data = self._socket.recv(65536)
        assert data, "the gateway hung up before its answer"
        return data


@pytest.fixture
def client(
    gateway: EmbeddedGateway, keys: Path, tls: ssl.SSLContext
) -> Iterator[Callable[..., Client]]:
    made: list[Client] = []
    device_token = sign_token("cam-1", load_device_key(keys, "cam-1"), "mastra-gateway")

    def connect(token: str = device_token) -> Client:
        made.append(Client(gateway.port, tls, token))
        return made[-1]

    yield connect
    for one in made:
        one.close()


@pytest.mark.parametrize("size", [LIMIT_BYTES + 1, 7 * LIMIT_BYTES])
@pytest.mark.parametrize("chunked", [False, True])
def test_who_sends_too_much_reads_why_before_the_connection_ends(
    client: Callable[..., Client], gateway: EmbeddedGateway, size: int, chunked: bool
) -> None:
    sender = client()
    if chunked:
        sender.head(INFER, "Transfer-Encoding: chunked")
        sender.send(b"%x\r\n" % size + bytes(size) + b"\r\n0\r\n\r\n")
    else:
        sender.head(INFER, f"Content-Length: {size}")
        sender.send(bytes(size))
    status, head, told = sender.answer()
    assert status == 413
    assert told["error"].startswith(f"body: expected at most {LIMIT_BYTES} bytes")
    assert "application/json" in head
    assert "connection: close" in head
    assert sender.ended()
    assert f"{INFER} refused with 413" in gateway.log_path.read_text()


@pytest.mark.parametrize(
    ("path", "fields", "token", "status"),
    [
        ("/v2/models/nothing/infer", (), None, 404),
        ("/v2/nothing", (), None, 404),
        ("/v2", (), None, 405),
        (INFER, ("Content-Encoding: br",), None, 415),
        (INFER, (), "", 401),
        (INFER, (), "no.token.atall", 401),
    ],
)
def test_whatever_is_refused_while_its_body_is_on_the_way_says_so(
    client: Callable[..., Client], path: str, fields: tuple[str, ...], token: str, status: int
) -> None:
    sender = client() if token is None else client(token)
    sender.head(path, *fields, f"Content-Length: {5 * LIMIT_BYTES}")
    sender.send(bytes(5 * LIMIT_BYTES))
    got, head, told = sender.answer()
    assert got == status
    assert told["error"]
    assert "application/json" in head


def test_who_asks_for_leave_first_need_not_send_what_is_refused(
    client: Callable[..., Client],
) -> None:
    sender = client()
    sender.head(INFER, f"Content-Length: {5 * LIMIT_BYTES}", "Expect: 100-continue")
    status, head, _ = sender.answer()
    assert status == 413
    assert "connection: close" in head
    assert sender.ended()


def test_who_asks_for_leave_gets_it(client: Callable[..., Client], picture: Picture) -> None:
    body, fields = binary_request(picture((1, 1)))
    sender = client()
    lines = [f"{name}: {value}" for name, value in fields.items()]
    sender.head(INFER, *lines, f"Content-Length: {len(body)}", "Expect: 100-continue")
    assert sender.answer()[0] == 100
    sender.send(body)
    status, _, told = sender.answer()
    assert status == 200
    assert told["model_name"] == "white_cells"


def test_who_hangs_up_while_refused_harms_nobody(
    client: Callable[..., Client], gateway: EmbeddedGateway, http: Http
) -> None:
    for _ in range(3):
        sender = client()
        sender.head(INFER, f"Content-Length: {5 * LIMIT_BYTES}")
        sender.send(bytes(LIMIT_BYTES))
        sender.close()
    assert http("/v2").status_code == 200
    assert "Traceback" not in gateway.log_path.read_text()


def test_refusals_of_a_kind_are_logged_once_a_minute(http: Http, gateway: EmbeddedGateway) -> None:
    for more in range(7, 12):
        http(INFER, method="POST", content=bytes(LIMIT_BYTES + more))
    lines = gateway.log_path.read_text().splitlines()
    assert len([line for line in lines if "refused with 413: body" in line]) in (1, 2)


def test_a_connection_whose_request_was_taken_stays_open(
    client: Callable[..., Client], picture: Picture
) -> None:
    sender = client()
    for _ in range(2):
        body, fields = binary_request(picture((1, 1)))
        sender.head(
            INFER, *(f"{n}: {v}" for n, v in fields.items()), f"Content-Length: {len(body)}"
        )
        sender.send(body)
        assert sender.answer()[0] == 200
        sender.head(INFER, "Content-Length: 2")
        sender.send(b"[]")
        assert sender.answer()[0] == 400


@pytest.mark.parametrize("name", CODERS)
def test_a_compressed_picture_is_inferred(http: Http, picture: Picture, name: str) -> None:
    coding, encode = CODERS[name]
    body, fields = binary_request(picture((2, 3)))
    answer = http(
        INFER, method="POST", content=encode(body), headers={**fields, "Content-Encoding": coding}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"][0]["data"] == [16, 24, 24, 32]


@pytest.mark.parametrize(
    ("coding", "body", "status", "why"),
    [
        ("gzip", b"{}", 400, "cannot be decompressed"),
        ("gzip", b"", 400, "end early"),
        ("gzip", gzip.compress(bytes(5000))[:-9], 400, "end early"),
        ("gzip", gzip.compress(b"{}") + b"more", 400, "cannot be decompressed"),
        ("gzip", zlib.compress(b"{}"), 400, "cannot be decompressed"),
        ("deflate", zlib.compress(b"{}") + b"more", 400, "4 bytes follow"),
        ("deflate", b"\xff\xff\xff", 400, "cannot be decompressed"),
        ("gzip", gzip.compress(bytes(LIMIT_BYTES + 1)), 413, "when decompressed"),
        ("deflate", zlib.compress(bytes(800 * LIMIT_BYTES // 10)), 413, "when decompressed"),
        ("gzip", gzip.compress(b"") * 3 + gzip.compress(b"{}"), 400, "inputs"),
        ("br", b"{}", 415, "expected gzip, deflate or none, got 'br'"),
        ("zstd", b"{}", 415, "zstd"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}")), 415, "gzip, gzip"),
    ],
)
def test_what_cannot_be_decompressed_is_refused(
    http: Http, coding: str, body: bytes, status: int, why: str
) -> None:
    answer = http(INFER, method="POST", content=body, headers={"Content-Encoding": coding})
    assert answer.status_code == status, answer.text
    assert why in answer.json()["error"]
    if status == 415:
        assert answer.headers["accept-encoding"] == "gzip, deflate"


@given(st.binary(max_size=3000), st.sampled_from(sorted(CODERS)), st.integers(0, 3000))
def test_decompression_gives_what_was_compressed_and_never_more_than_allowed(
    data: bytes, name: str, limit: int
) -> None:
    coding, encode = CODERS[name]
    coding = "" if coding == "identity" else coding.lower()
    if len(data) <= limit or not coding:
        assert decoded(encode(data), coding, limit) == data
        return
    with pytest.raises(BadRequest, match="when decompressed"):
        decoded(encode(data), coding, limit)


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]))
def test_no_bytes_break_decompression(data: bytes, coding: str) -> None:
    with contextlib.suppress(BadRequest):
        assert len(decoded(data, coding, 1000)) <= 1000


def test_a_4k_picture_is_taken_unless_told_otherwise(
    start_gateway: Callable[..., EmbeddedGateway], keys: Path, tls: ssl.SSLContext
) -> None:
    gateway = start_gateway()
    token = sign_token("cam-1", load_device_key(keys, "cam-1"), "mastra-gateway")
    body, fields = binary_request(np.zeros((2160, 3840, 3), np.uint8))
    assert len(body) > 8 << 20
    with closing(Client(gateway.port, tls, token)) as sender:
        lines = [f"{name}: {value}" for name, value in fields.items()]
        sender.head(INFER, *lines, f"Content-Length: {len(body)}")
        sender.send(body)
        status, _, told = sender.answer()
    assert (status, told["model_name"]) == (200, "white_cells")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/nothing", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/v2/models/white_cells/trace/setting", 404),
        ("GET", "/v2/systemsharedmemory/status", 404),
        ("GET", "/v2/models/white_cells/versions/9", 404),
        ("GET", "/v2/\u00e9%00%ff", 404),
        ("GET", INFER, 405),
        ("DELETE", "/v2/models/white_cells", 405),
        ("PUT", "/v2/health/live", 405),
        ("GET", "/nowhere", 404),
    ],
)
def test_a_path_or_method_that_is_not_there_answers_in_json(
    http: Http, method: str, path: str, status: int
) -> None:
    answer = http(path, method=method)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error"]
    if status == 405:
        assert answer.headers["allow"]


def test_a_refusal_is_heard_though_the_body_never_comes(client: Callable[..., Client]) -> None:
    """Its head is sent while its body is still waited for."""
    sender = client()
    sender.head(INFER, f"Content-Length: {5 * LIMIT_BYTES}")
    assert sender._receive().startswith(b"HTTP/1.1 413 ")
