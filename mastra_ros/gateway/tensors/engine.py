"""A model of tensors as the engine of a bundle: so a detector's network may run elsewhere."""

from __future__ import annotations

from ...errors import ModelError
from ...inference.engines.engine import Tensor, TensorSpec, check_tensor
from ..openinference import datatypes
from .backend import Backend


class BackendEngine:
    """See `inference.engines.Engine`. Raises ModelError unless the model has one input."""

    name = "upstream"
    missing: tuple[str, ...] = ()

    def __init__(self, backend: Backend) -> None:
        if len(backend.inputs) != 1:
            raise ModelError(f"{backend.platform}: expected one input, got {len(backend.inputs)}")
        self._backend = backend
        self.inputs = tuple(map(_spec, backend.inputs))
        self.outputs = tuple(map(_spec, backend.outputs))
        self.providers = (backend.platform,)

    def run(self, tensor: Tensor) -> list[Tensor]:
        check_tensor(self.name, self.inputs[0], tensor)
        outputs = self._backend.run({self.inputs[0].name: tensor})
        return [outputs[spec.name] for spec in self.outputs]

    def close(self) -> None:
        self._backend.close()


def _spec(told: datatypes.TensorSpec) -> TensorSpec:
    shape = tuple(None if side < 0 else side for side in told.shape)
    return TensorSpec(told.name, shape, datatypes.DTYPES[told.datatype])
