"""Reading an ONNX file, with weights beside it too, and writing it as one file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import ModelError
from ..needs import require_onnx

BYTES_MAX = 2**31 - 1
"""No file of protocol buffers may be larger."""
DOMAINS = ("", "ai.onnx")
HALVES = ("float16", "bfloat16")
HALF_TYPES = (10, 16)  # the same in ONNX's own numbers


@dataclass(frozen=True)
class OnnxModel:
    """An ONNX model in memory, its weights with it."""

    path: Path
    proto: Any
    apart: bool  # weights lie in files beside it
    feed: str  # the one input
    dtype: str  # of the input: float32, float16, uint8, …
    shape: tuple[int | None, ...]  # of the input; None: any size
    outputs: tuple[str, ...]

    @property
    def opset(self) -> int:
        """The version of ONNX's own operators."""
        return max((o.version for o in self.proto.opset_import if o.domain in DOMAINS), default=1)

    @property
    def halves(self) -> bool:
        """Whether it computes in 16 bits somewhere."""
        return self.dtype in HALVES or any(
            tensor.data_type in HALF_TYPES for tensor in self.proto.graph.initializer
        )

    def write(self, out: Path) -> None:
        """The model as one file: as it was, where it was one. Raises ModelError above 2 GB."""
        if not self.apart:
            out.write_bytes(self.path.read_bytes())
            return
        size = self.proto.ByteSize()
        if size > BYTES_MAX:
            raise ModelError(f"{self.path}: {size} bytes with its weights, one file holds 2 GB")
        out.write_bytes(self.proto.SerializeToString())


def load_onnx(path: Path) -> OnnxModel:
    """Read and check an ONNX model; weights in other files are looked for beside it.

    Raises ModelError where it, or a file of weights, is missing, broken or has not one input;
    DependencyError without onnx.
    """
    onnx = require_onnx()
    try:
        proto = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf, onnx and the file system have no common base
        raise ModelError(f"{path}: not an ONNX model: {_line(error)}") from error
    files = _files_apart(onnx, proto)
    for name in files:
        if not (path.parent / name).is_file():
            raise ModelError(f"{path}: its weights are in {name}, which is not beside it")
    try:
        if files:
            onnx.load_external_data_for_model(proto, str(path.parent))
            _forget_files(onnx, proto)
        if proto.ByteSize() <= BYTES_MAX:
            onnx.checker.check_model(proto)
        if proto.functions:
            from onnx import inliner

            proto = inliner.inline_local_functions(proto)
    except Exception as error:  # as above
        raise ModelError(f"{path}: not an ONNX model: {_line(error)}") from error
    weights = {tensor.name for tensor in proto.graph.initializer}
    feeds = [value for value in proto.graph.input if value.name not in weights]
    if len(feeds) != 1:
        named = ", ".join(value.name for value in feeds)
        raise ModelError(f"{path}: expected one input, got {len(feeds)}: {named or 'none'}")
    kind = feeds[0].type.tensor_type
    return OnnxModel(
        path=path,
        proto=proto,
        apart=bool(files),
        feed=feeds[0].name,
        dtype=str(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)),
        shape=tuple(
            int(side.dim_value) if side.HasField("dim_value") and side.dim_value > 0 else None
            for side in kind.shape.dim
        ),
        outputs=tuple(value.name for value in proto.graph.output),
    )


def _files_apart(onnx: Any, proto: Any) -> list[str]:
    """Names of the files with weights, each once."""
    names = {
        entry.value: None
        for tensor in onnx.external_data_helper._get_all_tensors(proto)
        if onnx.external_data_helper.uses_external_data(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return list(names)


def _forget_files(onnx: Any, proto: Any) -> None:
    """The weights are in the model now, and nothing points to files any more."""
    for tensor in onnx.external_data_helper._get_all_tensors(proto):
        if onnx.external_data_helper.uses_external_data(tensor):
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]


def _line(error: BaseException) -> str:
    return f"{' '.join(str(error).split()):.200}"
