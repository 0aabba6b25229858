"""Tells whether a network's scores are probabilities already."""

from __future__ import annotations

from typing import Any

PROBABILITIES = ("Softmax", "Sigmoid", "HardSigmoid")
LOGITS = ("LogSoftmax", "Gemm", "MatMul", "Conv")
PASSING = (
    *("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Dropout"),
    *("Slice", "Split", "Gather", "Expand", "ReduceMax"),
)
"""Operators behind which scores are what they were."""
JOINING = ("Concat", "Mul", "Max", "Min")
"""The same where it holds for all that they join."""

TFLITE_PROBABILITIES = ("SOFTMAX", "LOGISTIC")
TFLITE_PASSING = ("RESHAPE", "QUANTIZE", "DEQUANTIZE", "SQUEEZE", "TRANSPOSE")


def form_in_graph(proto: Any, output: str) -> str:
    """`probabilities` or `logits` by the last operators before an output of an ONNX graph.

    "" where they do not tell.
    """
    makers = {name: node for node in proto.graph.node for name in node.output}
    named = output
    while named in makers:
        node = makers[named]
        if node.op_type in PROBABILITIES:
            return "probabilities"
        if node.op_type in LOGITS:
            return "logits"
        if node.op_type in JOINING:
            forms = {form_in_graph(proto, name) for name in node.input}
            return forms.pop() if len(forms) == 1 else ""
        if node.op_type not in PASSING:
            return ""
        named = node.input[0]
    return ""


def form_in_tflite(model: Any, kinds: list[str], output: int) -> str:
    """The same of a TensorFlow Lite model, whose operators are of these kinds."""
    graph = model.subgraphs[0]
    makers = {
        int(i): (kind, operator)
        for kind, operator in zip(kinds, graph.operators, strict=True)
        for i in operator.outputs
    }
    at = output
    while at in makers:
        kind, operator = makers[at]
        if kind in TFLITE_PROBABILITIES:
            return "probabilities"
        if kind not in TFLITE_PASSING:
            return ""
        at = int(operator.inputs[0])
    return ""
