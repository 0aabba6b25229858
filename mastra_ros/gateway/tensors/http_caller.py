"""Speaks the Open Inference Protocol over HTTP, by one connection that is kept."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ...errors import ModelError, ProtocolError
from ..openinference.datatypes import Array
from ..openinference.exchange import BINARY_HEADER, read_answer, write_request
from .address import Address
from .backend import Tensors
from .caller import Described, Unreachable, spec_of

PIECE_BYTES = 1 << 16
BUSY = (429, 502, 503, 504)
"""Answers after which another try may do."""


class HttpCaller:
    """For one thread at a time."""

    def __init__(self, address: Address, context: ssl.SSLContext | None, bytes_max: int) -> None:
        self._address, self._context = address, context
        self._bytes_max = bytes_max
        self._connection: http.client.HTTPConnection | None = None
        version = f"/versions/{quote(address.version, safe='')}" if address.version else ""
        self._path = f"{address.prefix}/v2/models/{quote(address.model, safe='')}{version}"

    def describe(self, limit_s: float) -> Described:
        metadata = self._json(self._path, limit_s)
        try:
            batch = int(self._json(f"{self._path}/config", limit_s).get("max_batch_size", 0))
        except (ModelError, TypeError, ValueError):
            batch = 0  # an extension, which not every server has
        try:
            inputs, outputs = (
                tuple(spec_of(t["name"], t["datatype"], t["shape"]) for t in metadata[side])
                for side in ("inputs", "outputs")
            )
            versions = tuple(map(str, metadata.get("versions") or ()))
            return Described(str(metadata.get("platform", "")), versions, inputs, outputs, batch)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self._address}: cannot be used: {error!r:.200}") from error

    def infer(self, inputs: Tensors, outputs: Sequence[str], limit_s: float) -> dict[str, Array]:
        body, json_bytes = write_request(inputs, outputs)
        headers = {
            "Content-Type": "application/octet-stream",
            "Inference-Header-Content-Length": str(json_bytes),
        }
        got, answer = self._ask("POST", f"{self._path}/infer", limit_s, body, headers)
        length = got.get(BINARY_HEADER, str(len(answer)))
        if not length.isdecimal() or len(length) > 18 or int(length) > len(answer):
            raise ModelError(f"{self._address}: {BINARY_HEADER}: got {length!r:.50}")
        try:
            return read_answer(answer, int(length))
        except ProtocolError as error:
            raise ModelError(f"{self._address}: {error}") from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _json(self, path: str, limit_s: float) -> dict[str, Any]:
        try:
            document = json.loads(self._ask("GET", path, limit_s)[1])
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{self._address}: no JSON at {path}") from error
        if not isinstance(document, dict):
            raise ModelError(f"{self._address}: no object at {path}")
        return document

    def _ask(
        self,
        method: str,
        path: str,
        limit_s: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Mapping[str, str], bytes]:
        until_s = time.monotonic() + limit_s
        kept = self._connection is not None
        try:
            try:
                response, content = self._exchange(method, path, body, headers, until_s)
            except ConnectionError:
                if not kept:
                    raise
                self.close()  # what was kept had been closed by the other side meanwhile
                response, content = self._exchange(method, path, body, headers, until_s)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            told = str(error) or type(error).__name__
            raise Unreachable(f"{self._address}: {told:.200}") from error
        if response.will_close:
            self.close()
        got = {name.lower(): value for name, value in response.getheaders()}
        if response.status in BUSY:
            raise Unreachable(f"{self._address}: {response.status}: {_words(content)}")
        if response.status != 200:
            raise ModelError(f"{self._address}: {response.status}: {_words(content)}")
        return got, content

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        until_s: float,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self._connected(until_s)
        connection.request(method, path, body, dict(headers or {}))
        self._limit(connection, until_s)
        response = connection.getresponse()
        return response, self._read(connection, response, until_s)

    def _connected(self, until_s: float) -> http.client.HTTPConnection:
        if self._connection is None:
            where, limit_s = self._address, max(until_s - time.monotonic(), 0.001)
            if self._context is not None:
                self._connection = http.client.HTTPSConnection(
                    where.host, where.port, timeout=limit_s, context=self._context
                )
            else:
                self._connection = http.client.HTTPConnection(
                    where.host, where.port, timeout=limit_s
                )
        self._limit(self._connection, until_s)
        return self._connection

    def _read(
        self,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        until_s: float,
    ) -> bytes:
        """The body, of which no piece may come after the time and none beyond the limit."""
        content = bytearray()
        while piece := response.read1(PIECE_BYTES):
            content += piece
            if len(content) > self._bytes_max:
                self.close()
                raise ModelError(f"{self._address}: an answer of more than {self._bytes_max} bytes")
            self._limit(connection, until_s)
        if response.length:  # it promised more
            raise http.client.IncompleteRead(b"", response.length)
        response.close()  # read to its end: the connection may be used again
        return bytes(content)

    def _limit(self, connection: http.client.HTTPConnection, until_s: float) -> None:
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no answer in time")
        connection.timeout = left_s
        if connection.sock is not None:
            connection.sock.settimeout(left_s)


def _words(content: bytes) -> str:
    """What the server says is wrong."""
    try:
        text = json.loads(content)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        text = content[:200].decode("utf-8", "replace")
    return " ".join(str(text).split())[:200]
