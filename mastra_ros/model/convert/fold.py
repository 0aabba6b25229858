"""Folds batch normalisation into the convolution before it, as export does."""

from __future__ import annotations

from typing import Any

from ..needs import require_torch

CONVOLUTION, NORMALISATION = "aten.conv2d", "aten.batch_norm"


def fold_normalisation(module: Any) -> int:
    """Fold in a graph of ATen operators (of torch.export), in place; how many were folded.

    conv then (x - mean) / sqrt(variance + epsilon) * gamma + beta is a convolution with the
    weights scaled per output channel.
    """
    torch = require_torch()
    folded = 0
    for node in list(module.graph.nodes):
        if not str(node.target).startswith(NORMALISATION):
            continue
        conv = node.args[0]
        if not str(getattr(conv, "target", "")).startswith(CONVOLUTION) or len(conv.users) != 1:
            continue
        gamma, beta, mean, variance = (_value(module, arg) for arg in node.args[1:5])
        epsilon = float(node.args[7])
        factor = gamma / torch.sqrt(variance + epsilon)
        weight = _value(module, conv.args[1])
        given = conv.args[2] if len(conv.args) > 2 else None
        bias = _value(module, given) if given is not None else torch.zeros_like(mean)
        name = f"folded_{folded}"
        for kind, value in (
            ("weight", weight * factor[:, None, None, None]),
            ("bias", (bias - mean) * factor + beta),
        ):
            module.register_parameter(f"{name}_{kind}", torch.nn.Parameter(value.detach().clone()))
        with module.graph.inserting_before(conv):
            scaled = module.graph.get_attr(f"{name}_weight")
            moved = module.graph.get_attr(f"{name}_bias")
        conv.args = (conv.args[0], scaled, moved, *conv.args[3:])
        node.replace_all_uses_with(conv)
        module.graph.erase_node(node)
        folded += 1
    module.graph.eliminate_dead_code()
    module.recompile()
    return folded


def _value(module: Any, node: Any) -> Any:
    """The tensor that a get_attr node stands for."""
    value = module
    for name in str(node.target).split("."):
        value = getattr(value, name)
    return value.detach()
