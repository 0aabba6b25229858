"""The Open Inference Protocol, version 2, over REST: pictures in, detections out.

https://github.com/kserve/open-inference-protocol. A served model takes one input `image`, UINT8
[height, width, 3] (BGR) or [height, width] (gray), and gives `boxes` FP32 [n, 4] (x1 y1 x2 y2 in
px), `scores` FP32 [n] and `classes` INT32 [n]; the metadata's parameters name the labels.
Besides JSON, input data may follow as bytes (the extension for binary tensor data).
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import sys
from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..errors import FrameError, LinkError, ModelError
from ..protocol.checks import printable
from ..types import MAX_SIDE_PX, Detections, Frame, FrameKey
from .auth import DEVICE
from .bodies import BadRequest, coding_of, decoded, read_body
from .door.logs import Sparing
from .memory import Account, Memory, Pool
from .models import Inferred, Models, ServedModel

logger = logging.getLogger(__name__)

BINARY_HEADER = "inference-header-content-length"
LENGTH_DIGITS_MAX = 18
BODIES_AT_ONCE = 4
"""So many bodies of the largest size are held at once; what does not fit gets 503."""
OBJECT_BYTES = 88
"""Of an empty list in a list; a number takes less."""
PATIENCE_S = 5.0
"""How long a request may wait for memory."""
_SURROGATE = re.compile("[\ud800-\udfff]")

INPUT = {"name": "image", "datatype": "UINT8", "shape": [-1, -1, 3]}
OUTPUTS = [
    {"name": "boxes", "datatype": "FP32", "shape": [-1, 4]},
    {"name": "scores", "datatype": "FP32", "shape": [-1]},
    {"name": "classes", "datatype": "INT32", "shape": [-1]},
]


class OpenInference:
    """Handlers of `/v2`; big bodies are read in `executor`."""

    def __init__(
        self,
        models: Models,
        executor: Executor,
        body_bytes_max: int,
        *,
        memory: Memory | None = None,
        model_silence_s: float = math.inf,
    ) -> None:
        """Bodies have a budget of their own; what is made of them is held in `memory`."""
        self._memory = memory or Memory(sys.maxsize)
        self._bodies = Pool(BODIES_AT_ONCE * body_bytes_max)
        self._model_silence_s = model_silence_s
        self._models = models
        self._executor = executor
        self._body_bytes_max = body_bytes_max
        self._logs = Sparing(logger)

    def routes(self) -> list[Route]:
        """The routes of the protocol."""
        routes = [
            Route("/v2", self._server),
            Route("/v2/health/live", self._live),
            Route("/v2/health/ready", self._server_ready),
        ]
        for model in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
            routes += [
                Route(model, self._metadata),
                Route(f"{model}/ready", self._ready),
                Route(f"{model}/infer", self._infer, methods=["POST"]),
            ]
        return routes

    async def _server(self, _: Request) -> Response:
        extensions = ["binary_tensor_data"]
        return JSONResponse({"name": "mastra", "version": "1", "extensions": extensions})

    async def _live(self, _: Request) -> Response:
        return JSONResponse({"live": True, "ready": True})

    async def _server_ready(self, _: Request) -> Response:
        silent = self._models.silent(self._model_silence_s)
        return JSONResponse({"live": True, "ready": not silent}, 503 if silent else 200)

    async def _metadata(self, request: Request) -> Response:
        try:
            model = self._model(request)
        except BadRequest as error:
            return _refusal(error)
        return JSONResponse(
            {
                "name": model.name,
                "versions": [model.detector.version],
                "platform": model.engine.partition(" ")[0],
                "inputs": [INPUT],
                "outputs": OUTPUTS,
                "parameters": {"labels": list(model.detector.labels), "engine": model.engine},
            }
        )

    async def _ready(self, request: Request) -> Response:
        try:
            model = self._model(request)
        except BadRequest as error:
            return _refusal(error)
        ready = model.silent_s <= self._model_silence_s
        return JSONResponse({"name": model.name, "ready": ready}, 200 if ready else 503)

    async def _infer(self, request: Request) -> Response:
        try:
            model = self._model(request)
            async with self._bodies.held(request.scope[DEVICE]) as account:
                inferred, wanted, name = await self._answer(request, model, account)
        except BadRequest as error:
            self._log(request, error)
            return _refusal(error)
        except (LinkError, MemoryError) as error:
            return _refusal(BadRequest(503, str(error)))
        except ModelError as error:
            return _refusal(BadRequest(500, str(error)))
        return JSONResponse(
            {
                "model_name": model.name,
                "model_version": model.detector.version,
                **({"id": name} if name else {}),
                "outputs": _outputs(inferred.detections, wanted),
            }
        )

    def _model(self, request: Request) -> ServedModel[Frame]:
        try:
            model = self._models.get(request.path_params["name"])
        except ModelError as error:
            raise BadRequest(404, str(error)) from error
        version = request.path_params.get("version", model.detector.version)
        if version != model.detector.version:
            raise BadRequest(404, f"version {version} is not served, {model.detector.version} is")
        return model

    async def _answer(
        self, request: Request, model: ServedModel[Frame], account: Account
    ) -> tuple[Inferred, tuple[str, ...], str]:
        """What was inferred, the outputs wanted, and the request's own id."""
        coding = coding_of(request)
        body = await read_body(request, self._body_bytes_max, account)
        loop = asyncio.get_running_loop()
        if coding:
            account.hold(self._body_bytes_max)
            body = await loop.run_in_executor(
                self._executor, decoded, body, coding, self._body_bytes_max
            )
        header_bytes = _header_bytes(request.headers.get(BINARY_HEADER), len(body))
        size = await loop.run_in_executor(self._executor, memory_of, body, header_bytes)
        async with self._memory.picture(request.scope[DEVICE], size, PATIENCE_S) as picture:
            frame, wanted, name = await loop.run_in_executor(
                self._executor, _parse, body, header_bytes
            )
            picture.shrink(frame.image.nbytes)
            return await model.infer(frame), wanted, name

    def _log(self, request: Request, error: BadRequest) -> None:
        """Say what a device did wrong, a kind and minute once."""
        kind = f"{error.status} {error.text.partition(':')[0]:.40}"
        device, path = request.scope[DEVICE], request.url.path[:100]
        text = "%s: %s refused with %d: %s"
        self._logs.warning(kind, text, device, path, error.status, error.text)


def memory_of(body: bytes, header_bytes: int) -> int:
    """What reading this body takes at most: an object of JSON takes more than its text does."""
    header = memoryview(body)[:header_bytes].tobytes()
    objects = header.count(b",") + header.count(b"[") + header.count(b"{") + header.count(b":")
    return OBJECT_BYTES * objects + 2 * len(body)


def _refusal(error: BadRequest) -> Response:
    headers = {"Accept-Encoding": "gzip, deflate"} if error.status == 415 else None
    return JSONResponse({"error": printable(error.text)}, error.status, headers)


def _header_bytes(text: str | None, body_bytes: int) -> int:
    if text is None:
        return body_bytes
    # Beyond so many digits Python converts none, and no body has them.
    if not text.isdecimal() or len(text) > LENGTH_DIGITS_MAX or int(text) > body_bytes:
        raise BadRequest(400, f"{BINARY_HEADER}: expected at most {body_bytes}, got {text!r:.100}")
    return int(text)


def _parse(body: bytes, header_bytes: int) -> tuple[Frame, tuple[str, ...], str]:
    """The picture, the names of the outputs wanted, and the request's own id."""
    try:
        request = json.loads(body[:header_bytes])
    except (ValueError, RecursionError) as error:
        raise BadRequest(400, f"body: not JSON ({type(error).__name__})") from None
    inputs = request.get("inputs") if isinstance(request, dict) else None
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise BadRequest(400, "inputs: expected a list of the one input `image`")
    tensor = inputs[0]
    if tensor.get("name") != INPUT["name"] or tensor.get("datatype") != INPUT["datatype"]:
        got = f"{tensor.get('name')!s:.50} of {tensor.get('datatype')!s:.20}"
        raise BadRequest(400, f"inputs: expected the input `image` of datatype UINT8, got {got}")
    shape = _shape(tensor.get("shape"))
    image = _pixels(tensor, shape, body[header_bytes:])
    try:
        frame = Frame(FrameKey("v2", 0), image, "mono8" if len(shape) == 2 else "bgr8")
    except FrameError as error:
        raise BadRequest(400, str(error)) from error
    known = tuple(str(output["name"]) for output in OUTPUTS)
    outputs = request.get("outputs", [])
    if not isinstance(outputs, list) or not all(isinstance(one, dict) for one in outputs):
        raise BadRequest(400, "outputs: expected a list of objects")
    wanted = tuple(str(one.get("name")) for one in outputs) or known
    if not set(wanted) <= set(known):
        raise BadRequest(400, f"outputs: expected some of {', '.join(known)}")
    return frame, wanted, _id_of(request.get("id", ""))


def _id_of(given: Any) -> str:
    """The request's own id, which comes back in the answer; text that is no Unicode cannot."""
    text = str(given)[:256]
    if _SURROGATE.search(text):
        raise BadRequest(400, "id: expected a text in Unicode")
    return text


def _shape(shape: Any) -> tuple[int, ...]:
    if (
        not isinstance(shape, list)
        or not all(type(side) is int and 0 < side <= MAX_SIDE_PX for side in shape)
        or not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3))
    ):
        raise BadRequest(400, "image: expected the shape [height, width, 3] or [height, width]")
    return tuple(shape)


def _pixels(tensor: dict[str, Any], shape: tuple[int, ...], raw: bytes) -> NDArray[np.uint8]:
    size = int(np.prod(shape))
    parameters = tensor.get("parameters", {})
    binary = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if binary is not None:
        if type(binary) is not int or not binary == size == len(raw):
            raise BadRequest(400, f"image: expected {size} bytes of data, got {len(raw)}")
        return np.frombuffer(raw, np.uint8).reshape(shape)
    data = tensor.get("data")
    try:
        values = np.asarray(data, dtype=np.float64).ravel()
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise BadRequest(400, "image: expected numbers in data") from None
    if values.size != size:
        raise BadRequest(400, f"image: expected {size} numbers in data, got {values.size}")
    if not ((values >= 0) & (values <= 255) & (values == np.floor(values))).all():
        raise BadRequest(400, "image: expected whole numbers 0 to 255 in data")
    return values.astype(np.uint8).reshape(shape)


def _outputs(found: Detections, wanted: tuple[str, ...]) -> list[dict[str, Any]]:
    arrays = {"boxes": found.boxes, "scores": found.scores, "classes": found.classes}
    return [
        {
            "name": output["name"],
            "datatype": output["datatype"],
            "shape": list(arrays[str(output["name"])].shape),
            "data": arrays[str(output["name"])].ravel().tolist(),
        }
        for output in OUTPUTS
        if output["name"] in wanted
    ]
