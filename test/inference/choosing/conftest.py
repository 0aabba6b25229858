"""Packages that stand in for a runtime in child processes: broken in a way that is known."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

CRASHING = "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n"
HANGING = "import time\nwhile True:\n    time.sleep(1)\n"
LYING = """
import numpy as np

class Side:
    is_dynamic = False
    def __init__(self, length): self.length = length
    def get_length(self): return self.length

class Kind:
    def __init__(self, real): self.real = real
    def is_real(self): return self.real
    def to_dtype(self): return np.dtype(np.float32 if self.real else np.int8)

class Port:
    def __init__(self, name, shape):
        self.name, self.shape = name, shape
        self.partial_shape = [Side(length) for length in shape]
    def get_names(self): return {self.name}
    def get_element_type(self): return Kind(False)

class Model:
    inputs = [Port("image", (1, 64, 64, 1))]
    outputs = [Port("boxes", (1, 64, 4)), Port("scores", (1, 64, 3))]

class Request:
    def infer(self, inputs, **options):
        return [np.full(port.shape, 100, np.int8) for port in Model.outputs]

class Compiled:
    def create_infer_request(self): return Request()

class Core:
    available_devices = ["CPU"]
    def compile_model(self, *_): return Compiled()

class Reader:
    def load(self, path): return path
    def convert(self, path): return Model()

class FrontEndManager:
    def load_by_framework(self, name): return Reader()
"""
SILENT_START = "import sys\nfor name in {names!r}:\n    sys.modules[name] = None\n"


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Let child processes find a package of this name and content before any other."""

    def make(package: str, code: str) -> None:
        folder = tmp_path / "stand_ins" / package
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(code)
        (folder / "frontend.py").write_text("from openvino import *\n")
        _first_on_path(folder.parent, monkeypatch)

    return make


@pytest.fixture
def without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Start child processes in which these packages are not installed."""

    def make(*names: str) -> None:
        folder = tmp_path / "start"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(SILENT_START.format(names=names))
        _first_on_path(folder, monkeypatch)

    return make


def _first_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), before])))
