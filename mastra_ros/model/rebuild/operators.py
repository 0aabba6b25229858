"""The ONNX operators that can be rebuilt, and what is refused before anything is done."""

from __future__ import annotations

from .layers import layers
from .node import Table
from .pointwise import pointwise
from .resizing import resizing
from .shapes import shapes
from .windows import windows

HINTS = {
    "NonMaxSuppression": "export the network without its suppression; Mastra has its own",
    "TopK": "export the network without its selection of boxes; Mastra has its own",
    "QuantizeLinear": "give the network before quantisation; Mastra makes the int8 model itself",
}
"""What helps against some of the operators that cannot be rebuilt."""


def operators() -> Table:
    """The operators by name."""
    return {**pointwise(), **shapes(), **layers(), **windows(), **resizing()}
