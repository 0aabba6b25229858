"""An engine without a model, for tests of what stands around engines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...errors import ModelError
from .engine import Tensor, TensorSpec, check_tensor


class FakeEngine:
    """Answers with whatever `function` makes of the input tensor; counts its runs in `runs`."""

    name = "fake"
    providers: tuple[str, ...] = ("cpu",)
    missing: tuple[str, ...] = ()

    def __init__(
        self,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        function: Callable[[Tensor], list[Tensor]],
    ) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.runs = 0
        self._function: Callable[[Tensor], list[Tensor]] | None = function

    def run(self, tensor: Tensor) -> list[Tensor]:
        if self._function is None:
            raise ModelError("fake: the engine is closed")
        check_tensor(self.name, self.inputs[0], tensor)
        self.runs += 1
        return self._function(tensor)

    def close(self) -> None:
        self._function = None
