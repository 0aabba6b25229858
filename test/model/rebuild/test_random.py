"""Nodes with attributes drawn at random, on random shapes: ONNX Runtime's answer, or a refusal.

What must never happen is a network that computes something else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mastra_ros.errors import ModelError

F = np.float32
Drawn = tuple[str, dict[str, np.ndarray], dict[str, Any], tuple[int, ...]]


def plane(rng: np.random.Generator, channels: int) -> tuple[int, ...]:
    return (channels, int(rng.integers(5, 14)), int(rng.integers(5, 14)))


def window(rng: np.random.Generator) -> dict[str, Any]:
    """Sides, steps and pads of a window, of which some are left out."""
    kernel = rng.integers(1, 5, 2)
    drawn: dict[str, Any] = {"kernel_shape": kernel.tolist()}
    if rng.random() < 0.7:
        drawn["strides"] = rng.integers(1, 4, 2).tolist()
    how = rng.random()
    if how < 0.5:
        drawn["pads"] = [int(rng.integers(0, side)) for side in (*kernel, *kernel)]
    elif how < 0.75:
        drawn["auto_pad"] = str(rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    return drawn


def conv(rng: np.random.Generator) -> Drawn:
    drawn, group = window(rng), int(rng.choice([1, 2, 4]))
    if "auto_pad" not in drawn and rng.random() < 0.5:
        drawn["dilations"] = [1, 2]
    shape = (4 * int(rng.integers(1, 3)), 4 // group, *drawn["kernel_shape"])
    weights = {"w": rng.normal(size=shape).astype(F), "b": rng.normal(size=shape[0]).astype(F)}
    return "Conv x w b", weights, {**drawn, "group": group}, plane(rng, 4)


def transposed(rng: np.random.Generator) -> Drawn:
    drawn, group = window(rng), int(rng.choice([1, 2]))
    strides = drawn.get("strides", [1, 1])
    if rng.random() < 0.5:
        drawn["output_padding"] = [int(rng.integers(0, step)) for step in strides]
    if rng.random() < 0.3:
        drawn["dilations"] = [2, 1]
    weights = {"w": rng.normal(size=(4, 3, *drawn["kernel_shape"])).astype(F)}
    return "ConvTranspose x w", weights, {**drawn, "group": group}, plane(rng, 4)


def pool(kind: str, rng: np.random.Generator) -> Drawn:
    drawn = {**window(rng), "ceil_mode": int(rng.integers(0, 2))}
    if drawn.get("auto_pad"):
        del drawn["ceil_mode"]  # the runtime has rules of its own for the two together
    if kind == "AveragePool":
        drawn["count_include_pad"] = int(rng.integers(0, 2))
    return f"{kind} x", {}, drawn, plane(rng, 2)


def sliced(rng: np.random.Generator) -> Drawn:
    shape = plane(rng, 3)
    axes = rng.permutation(4)[: int(rng.integers(1, 4))]
    numbers = {
        "s": rng.integers(-15, 15, len(axes)),
        "e": rng.integers(-15, 15, len(axes)),
        "a": axes,
        "t": rng.choice([-3, -2, -1, 1, 2, 3], len(axes)),
    }
    return "Slice x s e a t", {k: v.astype(np.int64) for k, v in numbers.items()}, {}, shape


def padded(rng: np.random.Generator) -> Drawn:
    mode = str(rng.choice(["constant", "reflect", "edge", "wrap"]))
    pads = rng.integers(-2, 4, 8)
    pads[[0, 4]] = 0
    weights = {"p": pads.astype(np.int64)}
    if mode != "constant":
        weights["p"] = np.abs(weights["p"]) % 3
        return "Pad x p", weights, {"mode": mode}, plane(rng, 4)
    return "Pad x p v", {**weights, "v": F(rng.normal())}, {"mode": mode}, plane(rng, 4)


def resized(rng: np.random.Generator) -> Drawn:
    mode = str(rng.choice(["nearest", "linear", "cubic"]))
    drawn: dict[str, Any] = {"mode": mode}
    if rng.random() < 0.8:
        drawn["coordinate_transformation_mode"] = str(
            rng.choice(
                [
                    *("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel"),
                    *("align_corners", "asymmetric"),
                ]
            )
        )
    if mode == "nearest" and rng.random() < 0.8:
        drawn["nearest_mode"] = str(
            rng.choice(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
        )
    shape = plane(rng, 2)
    if rng.random() < 0.5:
        sizes = np.array([1, 2, *rng.integers(1, 30, 2)], np.int64)
        return "Resize x - - z", {"z": sizes}, drawn, shape
    scales = np.array([1, 1, *rng.uniform(0.3, 3.5, 2)], F)
    return "Resize x - z", {"z": scales}, drawn, shape


def softmax(rng: np.random.Generator) -> Drawn:
    return "Softmax x", {}, {"axis": int(rng.integers(-3, 4))}, plane(rng, 3)


def reduced(rng: np.random.Generator) -> Drawn:
    kind = str(rng.choice(["Mean", "Sum", "Max", "Min", "L1", "L2", "LogSumExp", "SumSquare"]))
    axes = rng.permutation(4)[: int(rng.integers(1, 4))] - int(rng.choice([0, 4]))
    keep = {"keepdims": int(rng.integers(0, 2))}
    return f"Reduce{kind} x a", {"a": axes.astype(np.int64)}, keep, plane(rng, 3)


DRAWS = {
    "Conv": conv,
    "ConvTranspose": transposed,
    "MaxPool": lambda rng: pool("MaxPool", rng),
    "AveragePool": lambda rng: pool("AveragePool", rng),
    "Slice": sliced,
    "Pad": padded,
    "Resize": resized,
    "Softmax": softmax,
    "Reduce": reduced,
}


@pytest.mark.parametrize("kind", DRAWS)
def test_a_node_drawn_at_random_is_rebuilt_or_refused(same: Any, kind: str) -> None:
    done = refused = 0
    for seed in range(40):
        nodes, weights, attributes, shape = DRAWS[kind](np.random.default_rng(seed))
        operator, takes = nodes.split(" ", 1)
        opset = int(np.random.default_rng(seed).choice([11, 12])) if kind == "Softmax" else 19
        try:
            same([(operator, takes, "y", attributes)], weights, shape=shape, opset=opset)
            done += 1
        except ModelError:
            refused += 1
        except Exception as error:
            if "onnxruntime" not in type(error).__module__ and "Empty" not in str(error):
                raise AssertionError(f"{operator} {attributes} on {shape}: {error}") from error
    assert done > 20, f"{done} compared, {refused} refused"
    assert refused < 10, f"{done} compared, {refused} refused"
