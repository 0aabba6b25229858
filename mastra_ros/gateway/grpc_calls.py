"""The calls of the Open Inference Protocol over gRPC: a message in, a message out."""

from __future__ import annotations

import asyncio
from typing import Any

from ..errors import ModelError
from .answering import PATIENCE_S, Answering
from .openinference.describing import SERVER
from .openinference.grpc_exchange import read_message, write_message
from .openinference.messages import DATA_TYPES, message
from .servables import Servable

CALLS = {
    **{name: name for name in ("ServerLive", "ServerReady", "ModelReady")},
    **{name: name for name in ("ServerMetadata", "ModelMetadata", "ModelConfig")},
    **{name: name for name in ("ModelInfer", "RepositoryIndex", "ModelStatistics")},
}
"""Names of the calls, each with a message NAMERequest and NAMEResponse."""


class NotServed(ModelError):  # noqa: N818 - a kind of ModelError
    """No such model or version."""


class Calls:
    """Answers to messages; HTTP's answers to the same."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def answer(self, name: str, asked: bytes, device: str) -> Any:
        """The answer to one of CALLS. Raises what `Answering.infer` raises, and NotServed."""
        loop, executor = asyncio.get_running_loop(), self._answering.executor
        if name == "ModelInfer":
            return await self._infer(asked, device)
        request = await loop.run_in_executor(executor, _parsed, f"{name}Request", asked)
        made: Any = getattr(self, f"_{name}")(request)
        return made

    async def _infer(self, asked: bytes, device: str) -> Any:
        loop, executor = asyncio.get_running_loop(), self._answering.executor
        # Numbers of a message take at most eight times their bytes, as varints.
        async with self._answering.memory.picture(device, 9 * len(asked), PATIENCE_S) as picture:
            request = await loop.run_in_executor(executor, _parsed, "ModelInferRequest", asked)
            model = self._find(request.model_name, request.model_version)
            known = model.known()
            read = await loop.run_in_executor(executor, read_message, request, known)
            answer = await self._answering.infer(model, read, device, picture)
        return await loop.run_in_executor(executor, write_message, read, answer)

    def _find(self, name: str, version: str) -> Servable:
        try:
            return self._answering.find(name, version)
        except ModelError as error:
            raise NotServed(str(error)) from error

    def _ServerLive(self, _: Any) -> Any:  # noqa: N802 - named as the calls
        return message("ServerLiveResponse")(live=True)

    def _ServerReady(self, _: Any) -> Any:  # noqa: N802
        return message("ServerReadyResponse")(ready=self._answering.ready)

    def _ModelReady(self, asked: Any) -> Any:  # noqa: N802
        model = self._find(asked.name, asked.version)
        return message("ModelReadyResponse")(ready=self._answering.is_ready(model))

    def _ServerMetadata(self, _: Any) -> Any:  # noqa: N802
        return message("ServerMetadataResponse")(**SERVER)

    def _ModelMetadata(self, asked: Any) -> Any:  # noqa: N802
        told = self._answering.metadata(self._find(asked.name, asked.version))
        del told["parameters"]
        return message("ModelMetadataResponse")(**told)

    def _ModelConfig(self, asked: Any) -> Any:  # noqa: N802
        told = self._answering.configuration(self._find(asked.name, asked.version))
        for side in ("input", "output"):
            for tensor in told[side]:
                tensor["data_type"] = DATA_TYPES.index(tensor["data_type"])
        return message("ModelConfigResponse")(config=told)

    def _RepositoryIndex(self, asked: Any) -> Any:  # noqa: N802
        told = self._answering.index(only_ready=asked.ready)
        return message("RepositoryIndexResponse")(models=told)

    def _ModelStatistics(self, asked: Any) -> Any:  # noqa: N802
        if asked.name:
            self._find(asked.name, asked.version)
        told = self._answering.statistics(asked.name, asked.version)
        return message("ModelStatisticsResponse")(model_stats=told)


def _parsed(name: str, data: bytes) -> Any:
    from google.protobuf.message import DecodeError

    from ..errors import ProtocolError

    try:
        return message(name).FromString(data)
    except (DecodeError, RecursionError) as error:
        raise ProtocolError(f"{name}: cannot be read ({type(error).__name__})") from None
