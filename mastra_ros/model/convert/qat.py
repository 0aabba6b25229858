"""Quantisation-aware training: fine-tuning with the rounding of int8 in the forward pass.

After Jacob et al., 2018 (arXiv:1712.05877): weights and activations are rounded as the exported
model will round them, gradients pass straight through. The network learns to give what it gave
before (distillation, Hinton et al., 2015), and a classifier its labels too. Normalisation is
folded into the convolutions first. Ranges of activations are those that calibration will find,
taken anew for each epoch from the same pictures, so that the export is the one of PTQ.

What is exported is the epoch, or the beginning, with the least loss on a fixed part of the data,
rounding included: too high a rate costs time, not accuracy.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError
from ...inference import BundleInput
from ..dataset import Dataset
from ..needs import require_torch
from ..progress import Progress, silent
from .bias import PICTURES, settle_biases
from .export import reason
from .fold import fold_normalisation
from .quantise import feed_of, limits_of

JUDGED = 128
"""So many pictures decide which epoch was the best."""
RANGES_BATCH = 32
"""Pictures in one run when ranges are found."""
ACTIVATION_STEPS = 255  # int8, asymmetric
WEIGHT_MAX = 127  # int8, symmetric


@dataclass(frozen=True)
class Tuning:
    """How to fine-tune."""

    epochs: int = 3
    batch: int = 32
    rate: float = 1e-5  # pretrained networks bear little more, small ones ten times that
    label_weight: float = 0.5  # of a classifier's labels against what the network gave before
    seed: int = 1


def fine_tune(
    network: Any,
    spec: BundleInput,
    data: Dataset,
    calibration: list[NDArray[np.float32]],
    tuning: Tuning,
    progress: Progress = silent,
) -> Any:
    """A float network fine-tuned for int8, to be exported like any other.

    Raises ModelError where the network cannot be traced or takes no batches.
    """
    torch = require_torch()
    if network is None:
        raise ModelError("--quantize qat needs a source in PyTorch or ONNX: this one cannot learn")
    torch.manual_seed(tuning.seed)
    most = max(RANGES_BATCH, tuning.batch)
    teacher = traced(network, spec, most)
    # A traced network shares its weights with the one that it was traced from.
    student = traced(copy.deepcopy(network), spec, most)
    fold_normalisation(student)
    watched = _watch_activations(student)
    weights = _round_weights(student)
    ranges = torch.from_numpy(np.concatenate(calibration)).permute(0, 3, 1, 2)
    with _finding(watched):
        settle_biases(student, weights, ranges[:PICTURES])
    order = np.random.default_rng(tuning.seed)
    batches = max(len(data) // tuning.batch, 1)
    parameters = [p for p in student.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(parameters, tuning.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, tuning.epochs * batches)
    _find_ranges(student, watched, ranges, limits_of(spec))
    lesson = _Lesson(teacher, data, spec, tuning)
    judged = [lesson.page(some) for some in _parts(order.permutation(len(data))[:JUDGED], tuning)]
    least, best = lesson.judge(student, judged), _weights_of(student)
    for epoch in range(tuning.epochs):
        shuffled = order.permutation(len(data))
        parts = _parts(shuffled, tuning)[:batches]
        for chosen in progress(parts, f"fine-tune, epoch {epoch + 1} of {tuning.epochs}"):
            loss = lesson.loss(student, lesson.page(chosen))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        _find_ranges(student, watched, ranges, limits_of(spec))
        now = lesson.judge(student, judged)
        if now < least:
            least, best = now, _weights_of(student)
    student.load_state_dict(best, strict=False)
    return _finish(student, weights)


def traced(network: Any, spec: BundleInput, most: int) -> Any:
    """The network as a graph of PyTorch's basic operators, for batches of up to `most`.

    No larger ones: PyTorch rules out that the batch is as large as another side of a tensor, and
    refuses where it could be (YOLOX has 85 outputs a place).
    """
    torch = require_torch()
    example = torch.zeros(2, spec.channels, spec.height_px, spec.width_px)
    try:
        sides = ({0: torch.export.Dim("batch", min=1, max=most)},)
        return torch.export.export(network, (example,), dynamic_shapes=sides).module()
    except Exception as error:  # torch.export raises whatever its many layers do
        raise ModelError(f"cannot be traced for fine-tuning: {reason(error)}") from error


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _parts(chosen: NDArray[np.int64], tuning: Tuning) -> list[NDArray[np.int64]]:
    return [chosen[at : at + tuning.batch] for at in range(0, len(chosen), tuning.batch)]


@dataclass(frozen=True)
class _Page:
    """Some pictures, what the float network says of them, and a classifier's labels."""

    images: Any
    wanted: list[Any]
    labels: list[int]


@dataclass(frozen=True)
class _Lesson:
    """What there is to learn: to answer as before, and a classifier's labels."""

    teacher: Any
    data: Dataset
    spec: BundleInput
    tuning: Tuning

    def page(self, chosen: NDArray[np.int64]) -> _Page:
        """Some pictures of the data, to learn from or to be judged by."""
        torch = require_torch()
        pictures = np.concatenate([feed_of(self.data, int(i), self.spec) for i in chosen])
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()
        with torch.no_grad():
            wanted = _listed(self.teacher(images))
        labels = []
        if self.data.task == "classification":
            labels = [int(self.data.samples[int(i)].classes[0]) for i in chosen]
        return _Page(images, wanted, labels)

    def loss(self, student: Any, page: _Page) -> Any:
        """How wrong the answers to some pictures are."""
        torch = require_torch()
        f = torch.nn.functional
        given, wanted = _listed(student(page.images)), page.wanted
        if self.data.task != "classification":
            errors = [
                f.mse_loss(g, w) / w.var().clamp_min(1e-6)
                for g, w in zip(given, wanted, strict=True)
            ]
            return sum(errors[1:], errors[0])
        logits, before = given[0].flatten(1), wanted[0].flatten(1)
        soft = f.kl_div(f.log_softmax(logits, 1), f.softmax(before, 1), reduction="batchmean")
        hard = f.cross_entropy(logits, torch.tensor(page.labels))
        return (1 - self.tuning.label_weight) * soft + self.tuning.label_weight * hard

    def judge(self, student: Any, pages: list[_Page]) -> float:
        """The mean loss over all the pictures of some pages."""
        with require_torch().no_grad():
            losses = [len(page.images) * float(self.loss(student, page)) for page in pages]
        return sum(losses) / sum(len(page.images) for page in pages)


def _weights_of(student: Any) -> dict[str, Any]:
    """A copy of all parameters."""
    return {name: value.detach().clone() for name, value in student.named_parameters()}


def _rounded(x: Any, low: Any, high: Any) -> Any:
    """Round to ACTIVATION_STEPS steps between low and high, as the int8 model will."""
    torch = require_torch()
    low, high = torch.clamp(low, max=0.0), torch.clamp(high, min=0.0)
    scale = torch.clamp((high - low) / ACTIVATION_STEPS, min=1e-9)
    zero = torch.clamp(torch.round(-low / scale), 0, ACTIVATION_STEPS).to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(x, scale, zero, 0, ACTIVATION_STEPS)


def _watch_activations(student: Any) -> dict[str, Any]:
    """Put a rounding module after every operator whose result the int8 model rounds."""
    torch = require_torch()

    class Rounding(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("low", torch.tensor(0.0))
            self.register_buffer("high", torch.tensor(0.0))
            self.finding = False

        def forward(self, x: Any) -> Any:
            if self.finding:
                self.low, self.high = x.detach().min(), x.detach().max()
                return x
            return _rounded(x, self.low, self.high)

    made: dict[str, Any] = {}
    graph = student.graph
    for node in list(graph.nodes):
        if not _is_activation(node):
            continue
        users = list(node.users)
        if node.op == "call_function" and len(users) == 1 and _name(users[0]) in FUSED:
            continue  # computed together with what follows, and rounded after it
        name = f"rounding_{len(made)}"
        made[name] = Rounding()
        student.add_module(name, made[name])
        with graph.inserting_after(node):
            inserted = graph.call_module(name, (node,))
        node.replace_all_uses_with(
            inserted, delete_user_cb=lambda user, keep=inserted: user is not keep
        )
    student.recompile()
    return made


INPUT = "rounding_0"
FUSED = {"relu", "relu_", "hardtanh", "hardtanh_", "relu6", "clamp"}
ROUNDED = FUSED | {
    *("conv2d", "linear", "add", "add_", "mul", "sub", "div", "silu", "silu_", "sigmoid", "tanh"),
    *("mean", "hardswish", "hardswish_", "hardsigmoid", "softmax", "gelu", "avg_pool2d", "addmm"),
    *("matmul", "leaky_relu", "leaky_relu_", "adaptive_avg_pool2d", "conv_transpose2d", "exp"),
}
"""Operators of ATen whose results are floats that the int8 model holds as int8."""


def _name(node: Any) -> str:
    target = str(node.target)
    return target.removeprefix("aten.").split(".")[0]


def _is_activation(node: Any) -> bool:
    if node.op == "placeholder":
        return True
    value = node.meta.get("val")
    floats = value is not None and getattr(value, "dtype", None) is require_torch().float32
    return node.op == "call_function" and floats and _name(node) in ROUNDED


def _find_ranges(
    student: Any, watched: dict[str, Any], pictures: Any, limits: tuple[float, float]
) -> None:
    """Set every range to what the float network gives on the calibration pictures.

    limits: the input's range.
    """
    torch = require_torch()
    with torch.no_grad(), _finding(watched):
        lows, highs = [], []
        for some in pictures.split(RANGES_BATCH):
            student(some)
            lows.append([float(m.low) for m in watched.values()])
            highs.append([float(m.high) for m in watched.values()])
    for i, module in enumerate(watched.values()):
        module.low = torch.tensor(min(low[i] for low in lows))
        module.high = torch.tensor(max(high[i] for high in highs))
    watched[INPUT].low, watched[INPUT].high = (torch.tensor(value) for value in limits)


@contextmanager
def _finding(watched: dict[str, Any]) -> Iterator[None]:
    """Let activations pass unrounded for a while."""
    for module in watched.values():
        module.finding = True
    try:
        yield
    finally:
        for module in watched.values():
            module.finding = False


def _round_weights(student: Any) -> list[tuple[Any, str]]:
    """Let every weight be rounded per output channel when it is used; which were found."""
    torch = require_torch()
    parametrize = torch.nn.utils.parametrize

    class RoundedWeight(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def forward(self, weight: Any) -> Any:
            limit = weight.detach().abs().flatten(1).amax(1)
            scale = torch.clamp(limit / WEIGHT_MAX, min=1e-9)
            zero = torch.zeros_like(scale, dtype=torch.int32)
            return torch.fake_quantize_per_channel_affine(
                weight, scale, zero, 0, -WEIGHT_MAX, WEIGHT_MAX
            )

    found = []
    for module in list(student.modules()):
        for name, parameter in list(module.named_parameters(recurse=False)):
            if parameter.ndim in (2, 4):
                parameter.requires_grad_(True)
                parametrize.register_parametrization(module, name, RoundedWeight(), unsafe=True)
                found.append((module, name))
    return found


def _finish(student: Any, weights: list[tuple[Any, str]]) -> Any:
    """Take all rounding out again; the weights stay where they were led to."""
    torch = require_torch()
    for module, name in weights:
        torch.nn.utils.parametrize.remove_parametrizations(module, name, leave_parametrized=False)
    for node in list(student.graph.nodes):
        if node.op == "call_module" and str(node.target).startswith("rounding_"):
            node.replace_all_uses_with(node.args[0])
            student.graph.erase_node(node)
    student.recompile()
    for parameter in student.parameters():
        parameter.requires_grad_(False)
    return student
