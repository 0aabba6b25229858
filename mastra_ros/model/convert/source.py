"""What a user gives to be converted, whatever its kind."""

from __future__ import annotations

import importlib
import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ConfigError, DependencyError, ModelError
from ..needs import require_torch
from ..quiet import quiet
from ..rebuild.model_file import load_onnx
from ..tflite_file import read_model, schema

KERAS = (".keras", ".h5")
CHANNELS = (1, 3)


@dataclass(frozen=True)
class Source:
    """A trained network. `kind`: torch, exported (.pt2), onnx, tflite or tensorflow."""

    kind: str
    text: str  # as it was given

    @property
    def path(self) -> Path:
        """The file or folder; not for torch."""
        return Path(self.text)


def source_of(text: str) -> Source:
    """Tell the kind from the form. Raises ModelError where nothing of that name is there."""
    path = Path(text)
    if path.is_dir():
        if (path / "saved_model.pb").is_file():
            return Source("tensorflow", text)
        raise ModelError(f"{text}: a folder without saved_model.pb is no TensorFlow SavedModel")
    kinds = {".pt2": "exported", ".onnx": "onnx", ".tflite": "tflite"}
    kinds |= dict.fromkeys(KERAS, "tensorflow")
    suffix = path.suffix.lower()
    if ":" in text and suffix not in (".onnx", ".tflite", ".pt2", *KERAS):
        return Source("torch", text)
    if suffix not in kinds:
        raise ModelError(
            f"{text}: not a model; expected module:factory[:weights], a .pt2, .onnx, .tflite, "
            ".keras or .h5 file, or a SavedModel folder"
        )
    if not path.is_file():
        raise ModelError(f"{text}: model file not found")
    return Source(kinds[suffix], text)


def load_module(source: Source) -> Any:
    """A torch.nn.Module in evaluation mode from a source of kind torch or exported.

    Raises ModelError, ConfigError or DependencyError.
    """
    if source.kind == "torch":
        return _from_factory(source.text)
    torch = require_torch()
    try:
        with quiet():
            network = torch.export.load(source.text).module()
    except Exception as error:  # zip, JSON and torch errors have no common base
        text = " ".join(str(error).split())
        raise ModelError(f"{source.text}: not an exported program: {text:.200}") from error
    for module in network.modules():
        module.training = False  # as it was exported; eval() is refused
    return network


def seen_size(source: Source) -> tuple[int, int] | None:
    """Width and height in px that an ONNX file is made for; None where it does not tell."""
    if source.kind != "onnx":
        return None
    shape = load_onnx(source.path).shape
    if len(shape) != 4:
        return None
    sides = shape[2:] if shape[1] in CHANNELS else shape[1:3] if shape[3] in CHANNELS else ()
    height, width = sides or (None, None)
    return (width, height) if width and height else None


def raw_type(source: Source) -> str:
    """uint8 or int8 where an ONNX file takes pixel values as they are; else empty."""
    dtype = load_onnx(source.path).dtype if source.kind == "onnx" else ""
    return dtype if dtype in ("uint8", "int8") else ""


def is_quantised(path: Path) -> bool:
    """Whether a .tflite model is fed with integers."""
    graph = read_model(path).subgraphs[0]
    types = schema().TensorType
    return graph.tensors[int(graph.inputs[0])].type in (types.INT8, types.UINT8)


def _from_factory(text: str) -> Any:
    """`module:factory[:weights]`; a factory with a parameter loads its weights itself."""
    torch = require_torch()
    module_name, factory_name, *rest = text.split(":", 2)
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{text}: cannot be imported: {error}") from error
    weights = rest[0] if rest else ""
    if weights and not Path(weights).is_file():
        raise ModelError(f"{text}: weights not found: {weights}")
    takes = [p for p in inspect.signature(factory).parameters.values() if p.kind < p.VAR_POSITIONAL]
    network = factory(weights) if weights and takes else factory()
    if not isinstance(network, torch.nn.Module):
        raise ModelError(f"{text}: expected a torch.nn.Module, got {type(network).__name__}")
    if weights and not takes:
        try:
            network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
        except (RuntimeError, OSError, ValueError, TypeError) as error:
            line = " ".join(str(error).split())
            raise ModelError(f"{weights}: do not fit the network: {line:.200}") from error
    return network.eval()


def write_tensorflow(path: Path, out: Path) -> None:
    """Write the float .tflite of a SavedModel or Keras file. Raises ModelError, DependencyError."""
    out.write_bytes(_from_tensorflow(path))


def _from_tensorflow(path: Path) -> bytes:
    try:
        with quiet():
            import tensorflow
    except ImportError as error:
        raise DependencyError(
            'TensorFlow models need TensorFlow: pip install "mastra-ros[tensorflow]"'
        ) from error
    try:
        with quiet():
            if path.is_dir():
                converter = tensorflow.lite.TFLiteConverter.from_saved_model(str(path))
            else:
                network = tensorflow.keras.models.load_model(str(path), compile=False)
                converter = tensorflow.lite.TFLiteConverter.from_keras_model(network)
            return bytes(converter.convert())
    except Exception as error:  # TensorFlow raises its own, Keras' and Python's
        text = " ".join(str(error).split())
        raise ModelError(f"{path}: cannot be converted to LiteRT: {text:.300}") from error
