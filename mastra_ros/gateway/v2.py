"""The Open Inference Protocol, version 2, over HTTP: `/v2`. docs/gateway.md has a table of calls.

A detector takes one input `image`, UINT8 [height, width, 3] (BGR) or [height, width] (gray), or
BYTES [1] with a JPEG, PNG or WebP file, and gives `boxes` FP32 [n, 4] (x1 y1 x2 y2 in px), `scores`
FP32 [n] and `classes` INT32 [n]; the metadata's parameters name the labels. Other models have
their own tensors. Besides JSON, tensors may follow as bytes, both ways.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..errors import LinkError, ModelError, ProtocolError
from ..protocol.checks import printable
from .answering import PATIENCE_S, Answering
from .auth import DEVICE
from .bodies import BadRequest, coding_of, decoded, encoded, read_body, wanted_coding
from .door.logs import Sparing
from .memory import Account, Pool
from .openinference.describing import SERVER
from .openinference.exchange import BINARY_HEADER, read_request, write_answer
from .servables import Servable

logger = logging.getLogger(__name__)

LENGTH_DIGITS_MAX = 18
BODIES_AT_ONCE = 4
"""So many bodies of the largest size are held at once; what does not fit gets 503."""
OBJECT_BYTES = 88
"""Of an empty list in a list; a number takes less."""
MARKS = b",[{:"
"""There is at most one object of JSON for each of these."""
PIECE_BYTES = 65_536
ENCODE_FROM_BYTES = 512
"""A smaller answer is not compressed: it would hardly shrink."""


class OpenInference:
    """Handlers of `/v2`; big bodies are read in the executor."""

    def __init__(self, answering: Answering, body_bytes_max: int) -> None:
        """Bodies have a budget of their own; what is made of them is held in `memory`."""
        self._answering = answering
        self._memory = answering.memory
        self.bodies = Pool(BODIES_AT_ONCE * body_bytes_max)
        self._executor = answering.executor
        self._body_bytes_max = body_bytes_max
        self._logs = Sparing(logger)

    def routes(self) -> list[Route]:
        """The routes of the protocol."""
        routes = [
            Route("/v2", self._server),
            Route("/v2/health/live", self._live),
            Route("/v2/health/ready", self._server_ready),
            Route("/v2/models/stats", self._statistics),
            Route("/v2/repository/index", self._index, methods=["GET", "POST"]),
            Route("/v2/repository/models/{name}/{verb}", self._load, methods=["POST"]),
        ]
        for model in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
            routes += [
                Route(model, self._metadata),
                Route(f"{model}/ready", self._ready),
                Route(f"{model}/config", self._configuration),
                Route(f"{model}/stats", self._statistics),
                Route(f"{model}/infer", self._infer, methods=["POST"]),
            ]
        return routes

    async def _server(self, _: Request) -> Response:
        return JSONResponse(SERVER)

    async def _live(self, _: Request) -> Response:
        return JSONResponse({"live": True, "ready": True})

    async def _server_ready(self, _: Request) -> Response:
        ready = self._answering.ready
        return JSONResponse({"live": True, "ready": ready}, 200 if ready else 503)

    async def _metadata(self, request: Request) -> Response:
        try:
            return JSONResponse(self._answering.metadata(self._model(request)))
        except BadRequest as error:
            return _refusal(error)

    async def _configuration(self, request: Request) -> Response:
        try:
            return JSONResponse(self._answering.configuration(self._model(request)))
        except BadRequest as error:
            return _refusal(error)

    async def _statistics(self, request: Request) -> Response:
        path = request.path_params
        try:
            told = self._answering.statistics(path.get("name", ""), path.get("version", ""))
        except ModelError as error:
            return _refusal(BadRequest(404, str(error)))
        return JSONResponse({"model_stats": told})

    async def _index(self, request: Request) -> Response:
        try:
            async with self.bodies.held(request.scope[DEVICE]) as account:
                body = await read_body(request, 4096, account)
            wanted = json.loads(body or b"{}")
            only_ready = bool(isinstance(wanted, dict) and wanted.get("ready"))
        except BadRequest as error:
            return _refusal(error)
        except (ValueError, RecursionError):
            return _refusal(BadRequest(400, "body: not JSON"))
        return JSONResponse(self._answering.index(only_ready=only_ready))

    async def _load(self, _: Request) -> Response:
        text = "which models are served is said by the gateway's parameters alone"
        return _refusal(BadRequest(400, text))

    async def _ready(self, request: Request) -> Response:
        try:
            model = self._model(request)
        except BadRequest as error:
            return _refusal(error)
        ready = self._answering.is_ready(model)
        return JSONResponse({"name": model.name, "ready": ready}, 200 if ready else 503)

    async def _infer(self, request: Request) -> Response:
        try:
            model = self._model(request)
            async with self.bodies.held(request.scope[DEVICE]) as account:
                return await self._answer(request, model, account)
        except (BadRequest, ProtocolError) as error:
            bad = error if isinstance(error, BadRequest) else BadRequest(400, str(error))
            self._log(request, bad)
            return _refusal(bad)
        except (LinkError, MemoryError) as error:
            return _refusal(BadRequest(503, str(error)))
        except ModelError as error:
            return _refusal(BadRequest(500, str(error)))

    def _model(self, request: Request) -> Servable:
        path = request.path_params
        try:
            return self._answering.find(path["name"], path.get("version", ""))
        except ModelError as error:
            raise BadRequest(404, str(error)) from error

    async def _answer(self, request: Request, model: Servable, account: Account) -> Response:
        coding = coding_of(request)
        body = await read_body(request, self._body_bytes_max, account)
        loop = asyncio.get_running_loop()
        if coding:
            account.hold(self._body_bytes_max)
            body = await loop.run_in_executor(
                self._executor, decoded, body, coding, self._body_bytes_max
            )
        header_bytes = header_bytes_of(request.headers.get(BINARY_HEADER), len(body))
        size = await loop.run_in_executor(self._executor, memory_of, body, header_bytes)
        device = request.scope[DEVICE]
        async with self._memory.picture(device, size, PATIENCE_S) as picture:
            asked = await loop.run_in_executor(
                self._executor, read_request, body, header_bytes, model.known()
            )
            answer = await self._answering.infer(model, asked, device, picture)
        content, json_bytes = await loop.run_in_executor(
            self._executor, write_answer, asked, answer
        )
        return await self._response(request, content, json_bytes)

    async def _response(self, request: Request, content: bytes, json_bytes: int) -> Response:
        headers = {}
        if json_bytes:
            headers[BINARY_HEADER] = str(json_bytes)
        coding = wanted_coding(request) if len(content) >= ENCODE_FROM_BYTES else ""
        if coding:
            headers |= {"Content-Encoding": coding, "Vary": "Accept-Encoding"}
            content = await asyncio.get_running_loop().run_in_executor(
                self._executor, encoded, content, coding
            )
        kind = "application/octet-stream" if json_bytes else "application/json"
        return Response(content, 200, headers, kind)

    def _log(self, request: Request, error: BadRequest) -> None:
        """Say what a device did wrong, a kind and minute once."""
        kind = f"{error.status} {error.text.partition(':')[0]:.40}"
        device, path = request.scope[DEVICE], request.url.path[:100]
        text = "%s: %s refused with %d: %s"
        self._logs.warning(kind, text, device, path, error.status, printable(error.text))


def memory_of(body: bytes, header_bytes: int) -> int:
    """What reading this body takes at most: an object of JSON takes more than its text does."""
    if header_bytes <= PIECE_BYTES:
        header = body[:header_bytes]
        objects = sum(header.count(mark) for mark in MARKS)
    else:
        # bytes.count of millions holds up every other thread for 50 ms; this does not.
        text = np.frombuffer(body, np.uint8, header_bytes)
        pieces = np.split(text, range(PIECE_BYTES, header_bytes, PIECE_BYTES))
        objects = sum(int(np.count_nonzero(one == mark)) for one in pieces for mark in MARKS)
    return OBJECT_BYTES * objects + 2 * len(body)


def refused(text: str) -> bytes:
    """The body of a refusal."""
    return json.dumps({"error": printable(text)}, separators=(",", ":")).encode()


def _refusal(error: BadRequest) -> Response:
    headers = {"Accept-Encoding": "gzip, deflate"} if error.status == 415 else None
    told: dict[str, Any] = {"error": printable(error.text)}
    return JSONResponse(told, error.status, headers)


def header_bytes_of(text: str | None, body_bytes: int) -> int:
    """How much of a body is JSON, by its header. Raises BadRequest."""
    if text is None:
        return body_bytes
    # Beyond so many digits Python converts none, and no body has them.
    if not text.isdecimal() or len(text) > LENGTH_DIGITS_MAX or int(text) > body_bytes:
        raise BadRequest(400, f"{BINARY_HEADER}: expected at most {body_bytes}, got {text!r:.100}")
    return int(text)
