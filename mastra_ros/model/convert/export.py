"""From a PyTorch network to the files that bundles hold: float TFLite and ONNX."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DependencyError, ModelError
from ...inference.bundle import BundleInput
from ..needs import INSTALL, require_torch
from ..quiet import quiet
from ..tflite_file import shorten

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

OPSET = 17
_OPERATOR = re.compile(r"\baten\.\w+")
REASON_MAX = 300  # characters of a converter's own words


def write_tflite(network: torch.nn.Module, spec: BundleInput, path: Path) -> None:
    """Write float TFLite with the input (1, height, width, channels).

    Raises:
        DependencyError: litert-torch is not installed.
        ModelError: it cannot lower an operator; the operator is named.
    """
    torch = require_torch()
    try:
        with quiet():
            import litert_torch
    except ImportError as error:
        raise DependencyError(f"converting needs litert-torch: {INSTALL}") from error

    class ChannelsLast(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        """The network with its channels in the last place, as devices want them."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: Any) -> Any:
            return self.network(image.permute(0, 3, 1, 2))

    wrapped = ChannelsLast()
    wrapped.training = network.training
    example = torch.zeros(1, spec.height_px, spec.width_px, spec.channels)
    try:
        with quiet():
            litert_torch.convert(wrapped, (example,), strict_export=False).export(str(path))
    except Exception as error:  # the converter raises whatever its many layers do
        layer = layer_of(network, spec, str(error))
        where = f" (layer {layer})" if layer else ""
        raise ModelError(f"cannot be converted to LiteRT: {reason(error)}{where}") from error
    shorten(path)


def layer_of(network: torch.nn.Module, spec: BundleInput, words: str) -> str:
    """The first layer with the operator that a converter's words name; empty where none is seen."""
    named = _OPERATOR.search(words)
    if named is None:
        return ""
    torch = require_torch()
    example = torch.zeros(1, spec.channels, spec.height_px, spec.width_px)
    try:
        with quiet():
            graph = torch.export.export(network, (example,)).run_decompositions().graph
    except Exception:  # it only serves a better word for an error that is told in any case
        return ""
    for node in graph.nodes:
        if str(node.target).startswith(named[0]):
            stack = list((node.meta.get("nn_module_stack") or {}).values())
            return str(stack[-1][0]) if stack else ""
    return ""


def write_onnx(network: torch.nn.Module, spec: BundleInput, path: Path) -> bool:
    """Write ONNX with the input `image` (n, channels, height, width); whether n is free.

    Where the network is fixed to one frame, so is the file. Raises ModelError where it cannot be
    exported, DependencyError without onnx.
    """
    torch = require_torch()
    try:
        import onnx  # noqa: F401 - torch.onnx needs it
    except ImportError as error:
        raise DependencyError(f"converting needs onnx: {INSTALL}") from error
    shape = (spec.channels, spec.height_px, spec.width_px)
    try:
        with quiet(), torch.no_grad():
            given = network(torch.zeros(1, *shape))
            names = output_names(given)
            free = {name: {0: "batch"} for name in ["image", *names]}
            try:
                network(torch.zeros(2, *shape))
                batch, axes = 2, free
            except Exception:  # a network fixed to one frame fails in its own way
                batch, axes = 1, {}
            torch.onnx.export(
                network,
                (torch.zeros(batch, *shape),),
                str(path),
                input_names=["image"],
                output_names=names,
                dynamic_axes=axes,
                opset_version=OPSET,
                training=torch.onnx.TrainingMode.PRESERVE,  # exported programs have but one mode
                dynamo=False,
            )
    except Exception as error:  # as above
        raise ModelError(f"cannot be exported to ONNX: {reason(error)}") from error
    return bool(axes)


def output_names(given: Any) -> list[str]:
    """Names for a network's outputs: the keys where it gives a dict."""
    if isinstance(given, dict):
        return [str(key) for key in given]
    number = len(given) if isinstance(given, (list, tuple)) else 1
    return ["output"] if number == 1 else [f"output_{i}" for i in range(number)]


def reason(error: BaseException) -> str:
    """The telling line of a converter's error, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [
        line
        for line in lines
        if any(
            word in line.lower() for word in ("not supported", "unsupported", "lowering", "error:")
        )
    ]
    text = " ".join((telling or lines or [type(error).__name__])[:2])
    return text if len(text) <= REASON_MAX else f"{text[:REASON_MAX]}…"
