"""What could serve a bundle on this machine, and what a choice among that depends on."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ..bundle import Bundle
from ..opening import PACKAGES, EngineOptions, is_installed, readers

RULES = 1
"""Counts up when choices are made in another way, so that kept ones are made again."""

DISTRIBUTIONS = {
    "litert": ("ai-edge-litert", "tflite-runtime"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"),
    "openvino": ("openvino",),
    "torch": ("torch",),
}
CPU_INFO = Path("/proc/cpuinfo")
CPU_FIELDS = {"model name", "flags", "Features", "CPU part"}
CAP = "ONEDNN_MAX_CPU_ISA"
"""By this variable OpenVINO is told to leave instructions of the processor unused."""


@dataclass(frozen=True)
class Candidate:
    """One part of a bundle on one engine."""

    part: str
    engine: str

    def __str__(self) -> str:
        return f"{self.engine} on {self.part}"


def candidates_of(bundle: Bundle, parts: Sequence[str]) -> list[Candidate]:
    """The installed engines that read a part's file, for each part; a part's own engine first."""
    return [
        Candidate(name, engine)
        for name in parts
        if name in bundle.parts
        for engine in readers(bundle.parts[name])
        if is_installed(engine)
    ]


def key_of(bundle: Bundle, parts: Sequence[str], options: EngineOptions) -> dict[str, Any]:
    """All that the fastest choice depends on, as plain values."""
    return {
        "rules": RULES,
        "bundle": hashlib.sha256(bundle.path.read_bytes()).hexdigest(),
        "parts": {name: bundle.parts[name].views for name in parts if name in bundle.parts},
        "processor": processor_of(_text(CPU_INFO)),
        "machine": platform.machine(),
        "cap": os.environ.get(CAP, ""),
        "engines": {name: engine_version(name) for name in PACKAGES},
        "options": json.loads(json.dumps(asdict(options))),
    }


def processor_of(cpu_info: str) -> str:
    """A digest of the processor's name and flags; of nothing where the system does not tell."""
    lines = {line for line in cpu_info.splitlines() if line.partition(":")[0].strip() in CPU_FIELDS}
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def engine_version(engine: str) -> str:
    """The version that is installed, empty where none is."""
    return next(filter(None, map(_version, DISTRIBUTIONS[engine])), "")


def _version(distribution: str) -> str:
    try:
        return f"{distribution} {metadata.version(distribution)}"
    except metadata.PackageNotFoundError:
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()
