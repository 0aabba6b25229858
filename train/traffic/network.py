"""The detector of vehicles: YOLOX-nano (Ge et al., 2021), whose weights it begins with.

Its ONNX file (Apache-2.0, Megvii) is run node by node, so that what is trained is exactly what was
published and what is exported; batch normalisation is already folded into the convolutions there.
The head for 80 types becomes one for ours: the rows of those that COCO knows, and for the van, of
which it knows none, the mean of car and truck.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F  # noqa: N812
from onnx import numpy_helper
from torch import Tensor, nn

TYPES = ("car", "van", "truck", "bus", "motorcycle", "bicycle", "person")
COCO_ROWS = ((2,), (2, 7), (7,), (5,), (3,), (1,), (0,))
STRIDES_PX = (8, 16, 32)


class GraphDetector(nn.Module):
    """image (N, 3, H, W), BGR in 0..255 -> boxes, objectness and types (N, cells, 4 + 1 + 7).

    Boxes as the file gives them: the middle relative to the cell and the logarithm of the size, in
    strides; the others as logits. H and W are multiples of 32.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        graph = onnx.load(path).graph
        self.values = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self.weights = nn.ParameterDict()
        learned = {name for node in graph.node if node.op_type == "Conv" for name in node.input[1:]}
        for name, value in self.values.items():
            if name in learned:
                if "cls_preds" in name and len(value) == 80:
                    value = np.stack([value[list(rows)].mean(0) for rows in COCO_ROWS])
                self.weights[safe_name(name)] = nn.Parameter(torch.from_numpy(value.copy()))
        self.nodes: list[tuple[str, list[str], str, dict[str, Any]]] = []
        sigmoid = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "Sigmoid"}
        for node in graph.node:
            told = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
            inputs = list(node.input)
            if node.op_type == "Mul" and sigmoid.get(inputs[1]) == inputs[0]:
                self.nodes.append(("SiLU", inputs[:1], node.output[0], told))
            elif node.op_type in ("Conv", "Concat", "MaxPool", "Resize", "Slice", "Add"):
                self.nodes.append((node.op_type, inputs, node.output[0], told))
        self.heads = [
            [
                next(
                    o
                    for op, i, o, _ in self.nodes
                    if op == "Conv" and i[1] == f"head.{k}_preds.{n}.weight"
                )
                for k in ("reg", "obj", "cls")
            ]
            for n in range(len(STRIDES_PX))
        ]

    def forward(self, image: Tensor) -> Tensor:
        seen = {"images": image}
        last = {name for head in self.heads for name in head}
        for kind, inputs, output, told in self.nodes:
            if inputs[0] not in seen or (kind == "Concat" and any(i not in seen for i in inputs)):
                continue
            x = seen[inputs[0]]
            if kind == "Conv":
                weight, bias = (self.weights[safe_name(name)] for name in inputs[1:3])
                pads = told["pads"]
                y = F.conv2d(x, weight, bias, told["strides"], pads[:2], 1, told["group"])
            elif kind == "SiLU":
                y = F.silu(x)
            elif kind == "Concat":
                if any(i in last for i in inputs):
                    continue
                y = torch.cat([seen[i] for i in inputs], 1)
            elif kind == "MaxPool":
                y = F.max_pool2d(x, told["kernel_shape"], told["strides"], told["pads"][:2])
            elif kind == "Resize":
                y = F.interpolate(x, scale_factor=2, mode="nearest")
            elif kind == "Add":
                y = x + seen[inputs[1]]
            else:
                start, _, axis, step = (int(self.values[name][0]) for name in inputs[1:])
                y = x[:, :, start::step] if axis == 2 else x[:, :, :, start::step]
            seen[output] = y
        rows = [torch.cat([seen[name] for name in head], 1).flatten(2) for head in self.heads]
        return torch.cat(rows, 2).transpose(1, 2)


def safe_name(name: str) -> str:
    return name.replace(".", "_").replace(":", "_")


def cells(height_px: int, width_px: int, device: torch.device | str) -> Tensor:
    """Column, row and stride (cells, 3) of the rows of the output."""
    made = []
    for stride in STRIDES_PX:
        rows = torch.arange(height_px // stride, device=device)
        columns = torch.arange(width_px // stride, device=device)
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        made.append(
            torch.stack([x.flatten(), y.flatten(), torch.full_like(x.flatten(), stride)], 1)
        )
    return torch.cat(made).float()


def boxes_of(out: Tensor, grid: Tensor) -> Tensor:
    """Boxes (N, cells, 4), left, top, right, bottom in px."""
    middle = (out[..., :2] + grid[:, :2]) * grid[:, 2:]
    half = torch.exp(out[..., 2:4].clamp(max=8)) * grid[:, 2:] / 2
    return torch.cat([middle - half, middle + half], -1)
