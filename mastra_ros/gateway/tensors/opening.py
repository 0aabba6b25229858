"""Opens the models of `gateway.tensors`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...config import GatewayConfig
from ...errors import ConfigError, MastraError
from ...share import home_path
from .backend import Backend
from .onnx import OnnxBackend
from .served import OnBatch, ServedTensors, check_same

_SPEC = re.compile(r"(?P<name>[\w.-]{1,64})(:(?P<version>[\w.-]{1,32}))?=(?P<where>\S.*)")
URL = re.compile(r"(https?|grpcs?)://", re.IGNORECASE)
FIRST_VERSION = "1"


@dataclass(frozen=True)
class TensorModel:
    """One entry: a name, a version (or the model's own where it is empty), a file or URL."""

    name: str
    version: str
    where: str

    @classmethod
    def parse(cls, text: str) -> TensorModel:
        """Raises ConfigError."""
        match = _SPEC.fullmatch(text.strip())
        if match is None:
            raise ConfigError(f"tensors: expected NAME[:VERSION]=FILE or =URL, got {text!r:.200}")
        return cls(match["name"], match["version"] or "", match["where"])


def open_tensors(config: GatewayConfig, on_batch: OnBatch) -> list[ServedTensors]:
    """Load them all. Raises ConfigError, ModelError, LinkError, DependencyError."""
    opened: list[ServedTensors] = []
    backends: list[Backend] = []
    try:
        for entry in map(TensorModel.parse, config.tensors):
            make = _maker(entry, config)
            some = []
            for _ in range(config.tensors_instances):
                some.append(make())
                backends.append(some[-1])
            check_same(some)
            opened.append(
                ServedTensors(
                    entry.name,
                    entry.version or some[0].version or FIRST_VERSION,
                    some,
                    size_max=config.batch_size_max,
                    delay_ms=config.batch_delay_ms,
                    queue_max=config.queue_frames_max,
                    on_batch=on_batch,
                )
            )
    except MastraError:
        for backend in backends:
            backend.close()
        raise
    return opened


def _maker(entry: TensorModel, config: GatewayConfig) -> Callable[[], Backend]:
    path: Path = home_path(entry.where)
    if path.suffix == ".onnx":
        return lambda: OnnxBackend(path, threads=config.threads, providers=config.providers)
    raise ConfigError(f"tensors: {entry.name}: expected a file .onnx, or a URL, got {entry.where}")
