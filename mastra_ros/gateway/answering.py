"""Requests of the Open Inference Protocol, once read: found their model, checked, inferred.

What HTTP and gRPC have in common behind their transports.
"""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import Executor
from typing import Any

from ..errors import ModelError
from .memory import Memory, Picture
from .models import Models
from .openinference import describing
from .openinference.exchange import InferAnswer, InferRequest, check_outputs
from .servables import Pictures, RawTensors, Servable, versioned

PATIENCE_S = 5.0
"""How long a request may wait for memory."""


class Answering:
    """All models by name and version, used from the event loop."""

    def __init__(
        self,
        models: Models,
        executor: Executor,
        *,
        memory: Memory,
        pixels_max: int,
        model_silence_s: float = math.inf,
    ) -> None:
        self._models = models
        self.executor = executor
        self.memory = memory
        self._silence_s = model_silence_s
        pictures = [Pictures(model, pixels_max) for model in models.pictures]
        self._servables: list[Servable] = [*pictures, *map(RawTensors, models.tensors)]

    @property
    def ready(self) -> bool:
        """Whether all models answer."""
        return not self._models.silent(self._silence_s)

    def find(self, name: str, version: str = "") -> Servable:
        """A model. Raises ModelError when there is none."""
        return versioned(self._servables, name, version, lambda: [s.name for s in self._servables])

    def is_ready(self, model: Servable) -> bool:
        """Whether a request to this model has a chance now."""
        return model.ready and model.silent_s <= self._silence_s

    def metadata(self, model: Servable) -> dict[str, Any]:
        """Of one model."""
        versions = [one.version for one in self._servables if one.name == model.name]
        return describing.metadata(
            *(model.name, versions, model.platform, model.inputs, model.outputs, model.parameters)
        )

    def configuration(self, model: Servable) -> dict[str, Any]:
        """Of one model."""
        return describing.configuration(
            *(model.name, model.platform, model.batch_size_max, model.inputs, model.outputs)
        )

    def index(self, *, only_ready: bool = False) -> list[dict[str, str]]:
        """Every model and version, and whether it can be used."""
        told = []
        for one in self._servables:
            ready = self.is_ready(one)
            if ready or not only_ready:
                state = ("READY", "") if ready else ("UNAVAILABLE", "it does not answer")
                told.append(
                    {
                        "name": one.name,
                        "version": one.version,
                        "state": state[0],
                        "reason": state[1],
                    }
                )
        return told

    def statistics(self, name: str = "", version: str = "") -> list[dict[str, Any]]:
        """Of all models, of all versions of one, or of one. Raises ModelError for none."""
        if name:
            self.find(name, version)
        return [
            one.statistics.to_json(one.name, one.version)
            for one in self._servables
            if name in ("", one.name) and version in ("", one.version)
        ]

    async def infer(
        self, model: Servable, request: InferRequest, device: str, holding: Picture
    ) -> InferAnswer:
        """The answer to a request whose tensors are held by `holding`.

        Raises ProtocolError, LinkError, ModelError, MemoryError.
        """
        check_outputs([spec.name for spec in model.outputs], request.outputs)
        loop = asyncio.get_running_loop()
        more_bytes = model.decoded_bytes(request.inputs)
        if not more_bytes:
            holding.shrink(request.nbytes)
            prepared = await loop.run_in_executor(self.executor, model.prepare, request.inputs)
            outputs = await model.infer(prepared)
        else:
            holding.shrink(0)  # the file is part of the body, which is held as well
            async with self.memory.picture(device, more_bytes, PATIENCE_S):
                prepared = await loop.run_in_executor(self.executor, model.prepare, request.inputs)
                outputs = await model.infer(prepared)
        missing = [spec.name for spec in model.outputs if spec.name not in outputs]
        if missing:
            raise ModelError(f"{model.name}: gave no {', '.join(missing)}")
        return InferAnswer(model.name, model.version, outputs)
