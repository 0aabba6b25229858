"""Whether the device model of a bundle fits a microcontroller, by running it in TFLM here."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ConfigError, DependencyError, ModelError
from ..layers import operator_names
from ..progress import Progress, silent
from ..tflite_file import read_model, schema
from .targets import TARGETS, Target

ARENA_BYTES = 64 * 1024 * 1024
"""What the model may allocate here; its true need is then known."""

TIMEOUT_S = 300
_TOTAL = re.compile(r"Arena allocation total (\d+) bytes")
_HEAD = re.compile(r"Arena allocation head (\d+) bytes")
_MISSING = re.compile(r"Didn't find op for builtin opcode '(\w+)'")


@dataclass(frozen=True)
class Fit:
    """What the model takes, and whether a target has it.

    arena_bytes is measured on this 64-bit machine, where pointers take twice the bytes: an upper
    bound. cycles are an estimate: MACs by operator times the target's published cycles.
    """

    target: Target
    model_bytes: int
    flash_bytes: int  # model and runtime
    arena_bytes: int | None  # None: TFLM cannot run it
    arena_head_bytes: int | None  # tensors, reused from layer to layer
    macs: Mapping[str, int]  # by operator
    cycles: float
    unsupported: tuple[str, ...]
    failure: str  # what TFLM said; empty where it ran

    @property
    def latency_ms(self) -> float:
        """Estimated, at the target's clock."""
        return 1e3 * self.cycles / self.target.clock_hz

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it does not fit; nothing where it does."""
        found = []
        if self.unsupported:
            found.append(f"TFLM has no {', '.join(self.unsupported)}")
        elif self.failure:
            found.append(f"TFLM cannot run it: {self.failure}")
        if self.flash_bytes > self.target.flash_bytes:
            found.append(f"flash: needs {self.flash_bytes} bytes of {self.target.flash_bytes}")
        if self.arena_bytes is not None and self.arena_bytes > self.target.ram_bytes:
            found.append(
                f"RAM: the arena needs {self.arena_bytes} bytes of {self.target.ram_bytes}"
            )
        return tuple(found)


def target_named(name: str) -> Target:
    """A target of the table. Raises ConfigError with the names there are."""
    if name not in TARGETS:
        raise ConfigError(f"--target: expected one of {', '.join(TARGETS)}, got {name!r}")
    return TARGETS[name]


def fit(path: Path, target: Target, progress: Progress = silent) -> Fit:
    """Run the model in TFLM and hold it against the target.

    Raises:
        ModelError: the file is no .tflite model, or takes minutes.
        DependencyError: tflite-micro is not installed.
    """
    model = read_model(path)
    if importlib.util.find_spec("tflite_micro") is None:
        raise DependencyError(
            "fitting needs TensorFlow Lite Micro: pip install tflite-micro (Linux, x86-64)"
        )
    counted = macs(model)
    cycles = sum(
        number * target.cycles_per_mac.get(kind, target.cycles_per_mac[""])
        for kind, number in counted.items()
    )
    status, said = 0, ""
    for _ in progress(range(1), "run in TensorFlow Lite Micro"):
        status, said = _run(path)
    total, head = _TOTAL.search(said), _HEAD.search(said)
    failed = status != 0 or total is None
    size = path.stat().st_size
    return Fit(
        target=target,
        model_bytes=size,
        flash_bytes=size + target.runtime_bytes,
        arena_bytes=None if total is None else int(total[1]),
        arena_head_bytes=None if head is None else int(head[1]),
        macs=counted,
        cycles=cycles,
        unsupported=tuple(sorted(set(_MISSING.findall(said)))),
        failure=_last_line(said) if failed else "",
    )


def _run(path: Path) -> tuple[int, str]:
    """Run the model in a process of its own, which TFLM may end; its status and words."""
    try:
        done = subprocess.run(  # noqa: S603 - our own module and a file that was just read
            [sys.executable, "-m", "mastra_ros.model.fit.micro", str(path), str(ARENA_BYTES)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
            cwd=Path(__file__).parents[3],
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{path}: TFLM took longer than {TIMEOUT_S} s") from error
    return done.returncode, done.stderr + done.stdout


def macs(model: Any) -> dict[str, int]:
    """Multiplications with additions of a model, by operator; the rest count as 0."""
    graph = model.subgraphs[0]
    counted: dict[str, int] = {}
    for operator, kind in zip(graph.operators, operator_names(model), strict=True):
        if kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"):
            continue
        output = graph.tensors[int(operator.outputs[0])].shape
        weights = graph.tensors[int(operator.inputs[1])].shape
        each = (
            int(np.prod(weights[1:3])) if kind == "DEPTHWISE_CONV_2D" else int(np.prod(weights[1:]))
        )
        counted[kind] = counted.get(kind, 0) + int(np.prod(output)) * each
    return counted


def check_int8(path: Path) -> None:
    """Raise ModelError unless the model takes int8."""
    graph = read_model(path).subgraphs[0]
    types = schema().TensorType
    if graph.tensors[int(graph.inputs[0])].type not in (types.INT8, types.UINT8):
        raise ModelError(f"{path}: expected an int8 model for a microcontroller, got a float one")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it ended without a word"
