"""Small requests of /v2 on the short way: the same answers, the same refusals, the same bounds."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mastra_ros.config import GatewayConfig
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.gateway.openinference.exchange import write_request
from mastra_ros.protocol.keys import add_device, audience_of, init_keys, load_device_key
from mastra_ros.protocol.tls import client_context
from mastra_ros.protocol.tokens import sign_token

PATH = "/v2/models/white_cells/infer"
OUTPUTS = ["boxes", "scores", "classes"]
ODD = "Accept-Encoding: gzip;q=0\r\n"
"""With this header a request is answered on the long way, and not otherwise."""


class Connection:
    """One connection of a client that says what it is told to."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        plain = socket.create_connection(("127.0.0.1", port), 20.0)
        self._sock = context.wrap_socket(plain, server_hostname="localhost")
        self._buffer = b""

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(re.split(": *", line.lower(), maxsplit=1) for line in lines)
        size = int(headers["content-length"])
        while len(self._buffer) < size:
            self._more()
        body, self._buffer = self._buffer[:size], self._buffer[size:]
        return int(first.split()[1]), headers, body

    def _more(self) -> None:
        data = self._sock.recv(65_536)
        assert data, f"the gateway has hung up after {self._buffer!r}"
        self._buffer += data

    def close(self) -> None:
        self._sock.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keys = tmp_path_factory.mktemp("express") / "keys"
    init_keys(keys, own_audience=True)
    for device in ("cam-1", "cam-2"):
        add_device(keys, device)
    return keys


@pytest.fixture(scope="module")
def served(folder: Path, bundle: Path) -> Iterator[EmbeddedGateway]:
    config = GatewayConfig(engine="bundle", memory_bytes_max=67_108_864)
    with EmbeddedGateway(folder, [str(bundle)], config=config) as running:
        yield running


@pytest.fixture
def connection(served: EmbeddedGateway, folder: Path) -> Iterator[Connection]:
    made = Connection(served.port, client_context(folder / "ca.crt"))
    yield made
    made.close()


def token_of(folder: Path, device: str = "cam-1") -> str:
    return sign_token(device, load_device_key(folder, device), audience_of(folder))


def image(value: int = 255) -> np.ndarray[Any, Any]:
    made = np.zeros((64, 64), np.uint8)
    made[8:16, 16:24] = value
    return made


def asked(token: str, tensor: Any, *, more: str = "", path: str = PATH) -> bytes:
    body, head = write_request({"image": tensor}, OUTPUTS)
    lines = f"Host: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n"
    lines += f"Inference-Header-Content-Length: {head}\r\n{more}"
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def jpeg_of(picture: Any) -> Any:
    return np.array([cv2.imencode(".jpg", picture)[1].tobytes()], object)


@pytest.mark.parametrize("tensor", [image(), jpeg_of(image()), np.zeros((64, 64, 3), np.uint8)])
def test_both_ways_give_the_same(connection: Connection, folder: Path, tensor: Any) -> None:
    token = token_of(folder)
    answers = []
    for more in ("", "", ODD, ""):  # the first shows the token
        connection.send(asked(token, tensor, more=more))
        answers.append(connection.answer())
    assert [status for status, _, _ in answers] == [200] * 4
    assert len({body for _, _, body in answers}) == 1
    kinds = [(h["content-type"], h["inference-header-content-length"]) for _, h, _ in answers]
    assert len(set(kinds)) == 1


def test_what_is_wrong_is_said_alike_and_the_next_is_answered(
    connection: Connection, folder: Path
) -> None:
    token = token_of(folder)
    good = asked(token, image())
    connection.send(good)
    assert connection.answer()[0] == 200
    broken = jpeg_of(image())
    broken[0] = broken[0][:-40] + b"\xff\xd9"
    for tensor, path in (
        (np.zeros((64, 64, 2), np.uint8), PATH),
        (np.zeros((64, 64), np.float32), PATH),
        (np.array([b"no picture"], object), PATH),
        (broken, PATH),
    ):
        told = []
        for more in ("", ODD):
            connection.send(asked(token, tensor, more=more, path=path))
            told.append(connection.answer())
        assert told[0][0] == told[1][0] >= 400
        assert told[0][2] == told[1][2]
        assert "error" in json.loads(told[0][2])
        connection.send(good)
        assert connection.answer()[0] == 200


@pytest.mark.parametrize(
    "path", [PATH.replace("white", "black"), "/v2/models/white_cells/versions/7/infer"]
)
def test_a_model_or_version_that_is_not_there_is_said_to_be(
    connection: Connection, folder: Path, path: str
) -> None:
    token = token_of(folder)
    connection.send(asked(token, image()))
    assert connection.answer()[0] == 200
    connection.send(asked(token, image(), path=path))
    status, _, body = connection.answer()
    assert status == 404
    assert "is not served" in json.loads(body)["error"]


def test_several_at_once_in_pieces_or_in_one_are_answered_in_order(
    connection: Connection, folder: Path
) -> None:
    token = token_of(folder)
    data = b"".join(asked(token, image(value)) for value in (255, 0, 255, 0))
    connection.send(data)
    boxes = [b'"shape":[1,4]' in connection.answer()[2] for _ in range(4)]
    assert boxes == [True, False, True, False]
    for at in range(0, len(data), 777):
        connection.send(data[at : at + 777])
    boxes = [b'"shape":[1,4]' in connection.answer()[2] for _ in range(4)]
    assert boxes == [True, False, True, False]
    for value in (255, 0):  # behind one that is on its way
        connection.send(asked(token, image(value)))
    boxes = [b'"shape":[1,4]' in connection.answer()[2] for _ in range(2)]
    assert boxes == [True, False]


def test_of_many_that_ask_at_once_each_gets_its_own_answer(
    served: EmbeddedGateway, folder: Path
) -> None:
    """Those of a turn are one batch, some run in the event loop and some beside it."""
    context, token = client_context(folder / "ca.crt"), token_of(folder)
    connections = [Connection(served.port, context) for _ in range(12)]
    for n in range(30):
        whites = [(at * 7 + n) % 3 == 0 for at in range(12)]
        for connection, white in zip(connections, whites, strict=True):
            picture = image(255 if white else 0)
            connection.send(asked(token, jpeg_of(picture) if n % 2 else picture))
        told = [connection.answer() for connection in connections]
        assert [status for status, _, _ in told] == [200] * 12
        assert [b'"shape":[1,4]' in body for _, _, body in told] == whites
    for connection in connections:
        connection.close()


def test_a_token_is_good_no_longer_than_its_key(
    connection: Connection, served: EmbeddedGateway, folder: Path
) -> None:
    token = token_of(folder, "cam-2")
    good = asked(token, image())
    for _ in range(2):
        connection.send(good)
        assert connection.answer()[0] == 200
    key = folder / "devices" / "cam-2.pub"
    kept = key.read_bytes()
    other = (folder / "devices" / "cam-1.pub").read_bytes()
    try:
        key.write_bytes(other)
        connection.send(good)
        assert connection.answer()[0] == 401
        key.unlink()
        again = Connection(served.port, client_context(folder / "ca.crt"))
        again.send(good)
        assert again.answer()[0] == 401
        again.close()
    finally:
        key.write_bytes(kept)
    again = Connection(served.port, client_context(folder / "ca.crt"))
    again.send(good)
    assert again.answer()[0] == 200
    again.close()


def test_who_goes_away_leaves_nothing_held(served: EmbeddedGateway, folder: Path) -> None:
    """More requests than a device may have at once are left; later ones are answered still."""
    token = token_of(folder)
    context = client_context(folder / "ca.crt")
    for _ in range(40):
        gone = Connection(served.port, context)
        gone.send(asked(token, image()))
        gone.close()
    last = Connection(served.port, context)
    for _ in range(3):
        last.send(asked(token, image()))
        assert last.answer()[0] == 200
    last.close()
