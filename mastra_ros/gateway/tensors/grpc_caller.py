"""Speaks the Open Inference Protocol over gRPC, by one connection that is kept."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Any

from ...errors import DependencyError, ModelError, ProtocolError
from ..openinference.datatypes import Array
from ..openinference.grpc_exchange import read_answered, write_asked
from ..openinference.messages import SERVICE, message
from .address import Address
from .backend import Tensors
from .caller import Described, Unreachable, spec_of

BUSY = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED")
"""Answers after which another try may do."""


class GrpcCaller:
    """For one thread at a time: each call runs an event loop of its own until it is answered."""

    def __init__(self, address: Address, context: ssl.SSLContext | None) -> None:
        """Raises DependencyError where grpclib or protobuf is not installed."""
        try:
            import grpclib.client

            message("ModelInferRequest")
        except ImportError as error:
            raise DependencyError(
                'gRPC needs grpclib and protobuf: pip install "mastra-ros[grpc]"'
            ) from error
        self._grpclib = grpclib
        self._address, self._context = address, context
        self._loop: asyncio.AbstractEventLoop | None = None
        self._channel: Any = None

    def describe(self, limit_s: float) -> Described:
        where = self._address
        asked = {"name": where.model, "version": where.version}
        told = self._ask("ModelMetadata", message("ModelMetadataRequest")(**asked), limit_s)
        try:
            config = self._ask("ModelConfig", message("ModelConfigRequest")(**asked), limit_s)
            batch = config.config.max_batch_size
        except ModelError:
            batch = 0  # an extension, which not every server has
        try:
            inputs, outputs = (
                tuple(spec_of(one.name, one.datatype, one.shape) for one in side)
                for side in (told.inputs, told.outputs)
            )
        except KeyError as error:
            raise ModelError(f"{where}: cannot be used: datatype {error}") from error
        return Described(told.platform, tuple(told.versions), inputs, outputs, batch)

    def infer(self, inputs: Tensors, outputs: Sequence[str], limit_s: float) -> dict[str, Array]:
        where = self._address
        asked = write_asked(where.model, where.version, inputs, outputs)
        try:
            return read_answered(self._ask("ModelInfer", asked, limit_s))
        except ProtocolError as error:
            raise ModelError(f"{where}: {error}") from error

    def close(self) -> None:
        if self._loop is not None:
            self._hang_up()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()
            self._loop = None

    def _hang_up(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _ask(self, verb: str, asked: Any, limit_s: float) -> Any:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        return self._loop.run_until_complete(self._call(verb, asked, limit_s))

    async def _call(self, verb: str, asked: Any, limit_s: float) -> Any:
        if self._channel is None:
            where = self._address
            self._channel = self._grpclib.client.Channel(where.host, where.port, ssl=self._context)
        method = self._grpclib.client.UnaryUnaryMethod(
            self._channel,
            f"{SERVICE}/{verb}",
            type(asked),
            message(f"{verb}Response"),
        )
        try:
            return await asyncio.wait_for(method(asked, timeout=limit_s), limit_s)
        except self._grpclib.GRPCError as error:
            text = f"{self._address}: {error.status.name}: {error.message!s:.200}"
            if error.status.name in BUSY:
                self._hang_up()
                raise Unreachable(text) from error
            raise ModelError(text) from error
        except (OSError, asyncio.TimeoutError, self._grpclib.exceptions.StreamTerminatedError) as e:
            self._hang_up()
            told = str(e) or type(e).__name__
            raise Unreachable(f"{self._address}: {told:.200}") from e
