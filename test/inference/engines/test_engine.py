"""One contract for every engine, and what each says of files that are no models."""

from __future__ import annotations

import importlib.util
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mastra_ros.errors import DependencyError, ModelError
from mastra_ros.inference import Bundle, Engine, FakeEngine, TensorSpec, open_engine
from mastra_ros.inference.engines.litert import LiteRTEngine
from mastra_ros.inference.engines.onnx import OnnxEngine
from mastra_ros.inference.engines.openvino import OpenVinoEngine

has_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)

IMAGE = TensorSpec("image", (None, 1, 4, 4), np.dtype(np.float32))
TOTAL = TensorSpec("total", (None, 1), np.dtype(np.float32))


def fake(models: Path) -> Engine:
    return FakeEngine([IMAGE], [TOTAL], lambda t: [t.sum(axis=(1, 2, 3)).reshape(-1, 1)])


def litert(models: Path) -> Engine:
    return LiteRTEngine(models / "local.tflite")


def plain_litert(models: Path) -> Engine:
    return LiteRTEngine(models / "local.tflite", delegate="none")


def onnx(models: Path) -> Engine:
    return OnnxEngine(models / "cloud.onnx")


def fixed_onnx(models: Path) -> Engine:
    return OnnxEngine(models / "single.onnx")


def quantised_onnx(models: Path) -> Engine:
    return OnnxEngine(models / "quantised.onnx")


def float_litert(models: Path) -> Engine:
    return LiteRTEngine(models / "float32.tflite")


def on_openvino(name: str) -> Any:
    def make(models: Path) -> Engine:
        return OpenVinoEngine(models / name)

    return pytest.param(make, id=f"openvino-{name}", marks=has_openvino)


ENGINES = [
    *(pytest.param(make, id=make.__name__) for make in (fake, litert, plain_litert, onnx)),
    *(pytest.param(make, id=make.__name__) for make in (fixed_onnx, quantised_onnx, float_litert)),
    *(on_openvino(f"{name}.tflite") for name in ("local", "float32", "int8", "uint8")),
    *(on_openvino(f"{name}.onnx") for name in ("cloud", "single", "quantised")),
]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, kinds: Path) -> Engine:
    make: Callable[[Path], Engine] = request.param
    return make(kinds)


def zeros(spec: TensorSpec, sides: int = 0) -> np.ndarray:
    return np.zeros([side or 1 for side in spec.shape] + [1] * sides, spec.dtype)


class TestContract:
    def test_an_engine_has_all_that_the_interface_names(self, engine: Engine) -> None:
        assert isinstance(engine, Engine)
        assert engine.name
        assert len(engine.inputs) == 1
        assert engine.outputs
        assert engine.providers
        assert engine.missing == ()

    def test_outputs_come_in_the_order_shape_and_type_of_their_specs(self, engine: Engine) -> None:
        outputs = engine.run(zeros(engine.inputs[0]))
        assert len(outputs) == len(engine.outputs)
        for output, spec in zip(outputs, engine.outputs, strict=True):
            assert spec.fits(output.shape)
            assert output.dtype == spec.dtype

    def test_outputs_stay_as_they_were_when_the_engine_runs_again(self, engine: Engine) -> None:
        tensor = zeros(engine.inputs[0])
        first = engine.run(tensor)
        kept = [output.copy() for output in first]
        engine.run(tensor + tensor.dtype.type(100))
        for output, copy in zip(first, kept, strict=True):
            np.testing.assert_array_equal(output, copy)

    def test_a_tensor_of_the_wrong_type_is_refused(self, engine: Engine) -> None:
        with pytest.raises(ModelError, match=r"expected input image .* got int64"):
            engine.run(zeros(engine.inputs[0]).astype(np.int64))

    def test_a_tensor_of_the_wrong_shape_is_refused(self, engine: Engine) -> None:
        with pytest.raises(ModelError, match="expected input image"):
            engine.run(zeros(engine.inputs[0], sides=1))

    def test_a_closed_engine_says_so_and_may_be_closed_again(self, engine: Engine) -> None:
        tensor = zeros(engine.inputs[0])
        engine.close()
        engine.close()
        with pytest.raises(ModelError, match="closed"):
            engine.run(tensor)


RUNTIMES = pytest.mark.parametrize(
    ("kind", "name"),
    [
        (LiteRTEngine, "local.tflite"),
        (OnnxEngine, "cloud.onnx"),
        pytest.param(OpenVinoEngine, "local.tflite", marks=has_openvino),
        pytest.param(OpenVinoEngine, "cloud.onnx", marks=has_openvino),
    ],
)


@RUNTIMES
class TestBadFiles:
    def test_a_missing_file_is_named(self, kind: type, name: str, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match=f"{name}: model file not found"):
            kind(tmp_path / name)

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
    def test_a_truncated_file_is_one_clear_error(
        self, kind: type, name: str, share: float, models: Path, tmp_path: Path
    ) -> None:
        whole = (models / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ModelError, match=f"{name}: not a model that .* can run") as caught:
            kind(tmp_path / name)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("seed", range(3))
    def test_random_bytes_are_one_clear_error(
        self, kind: type, name: str, seed: int, tmp_path: Path
    ) -> None:
        (tmp_path / name).write_bytes(np.random.default_rng(seed).bytes(4096))
        with pytest.raises(ModelError, match="not a model"):
            kind(tmp_path / name)

    def test_the_other_kind_of_model_is_one_clear_error(
        self, kind: type, name: str, models: Path, tmp_path: Path
    ) -> None:
        other = "cloud.onnx" if name == "local.tflite" else "local.tflite"
        (tmp_path / name).write_bytes((models / other).read_bytes())
        with pytest.raises(ModelError, match="not a model"):
            kind(tmp_path / name)


def test_a_provider_that_is_not_there_is_reported_and_the_cpu_runs(
    models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        engine = OnnxEngine(models / "cloud.onnx", providers=["NoSuchExecutionProvider"])
    assert engine.providers == ("CPUExecutionProvider",)
    assert engine.missing == ("NoSuchExecutionProvider",)
    assert "NoSuchExecutionProvider not available" in caplog.text


def test_xnnpack_is_seen_to_work_and_none_means_none(models: Path) -> None:
    assert LiteRTEngine(models / "local.tflite").providers == ("xnnpack",)
    assert LiteRTEngine(models / "local.tflite", delegate="none").providers == ("cpu",)


def test_xnnpack_and_plain_kernels_agree(models: Path) -> None:
    image = np.random.default_rng(5).integers(-128, 128, (1, 64, 64, 1)).astype(np.int8)
    fast = litert(models).run(image)
    plain = plain_litert(models).run(image)
    for a, b in zip(fast, plain, strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1


def test_xnnpack_that_takes_nothing_over_is_reported(
    models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        engine = LiteRTEngine(models / "undelegated.tflite")
    assert engine.providers == ("cpu",)
    assert engine.missing == ("xnnpack",)
    assert "delegate xnnpack took nothing over" in caplog.text


IDLE_DELEGATE = """
#include <stdint.h>
#include <stdlib.h>
/* Laid out as TfLiteDelegate of tensorflow/lite/core/c/common.h. */
typedef struct { void *data, *prepare, *from, *to, *release; int64_t flags; void *builder; } D;
static int prepare(void *context, D *delegate) { return 0; }
D *tflite_plugin_create_delegate(char **keys, char **values, size_t n, void (*report)(char *)) {
  D *made = calloc(1, sizeof(D));
  made->prepare = prepare;
  return made;
}
void tflite_plugin_destroy_delegate(D *delegate) { free(delegate); }
"""


def test_a_delegate_library_that_takes_nothing_over_is_reported(
    models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build a delegate with")
    (tmp_path / "idle.c").write_text(IDLE_DELEGATE)
    library = str(tmp_path / "libidle.so")
    build = [compiler, "-shared", "-fPIC", "-o", library, str(tmp_path / "idle.c")]
    subprocess.run(build, check=True)
    with caplog.at_level(logging.WARNING):
        engine = LiteRTEngine(models / "local.tflite", delegate=library)
    assert engine.providers == ("xnnpack",)
    assert engine.missing == (library,)
    engine.run(zeros(engine.inputs[0]))
    engine.close()


def test_a_library_that_is_no_delegate_is_an_error(models: Path) -> None:
    with pytest.raises(ModelError, match="is not a LiteRT delegate"):
        LiteRTEngine(models / "local.tflite", delegate="libm.so.6")


def test_a_delegate_library_that_cannot_be_loaded_is_an_error(models: Path) -> None:
    with pytest.raises(ModelError, match=r"delegate /nowhere/libedgetpu.so: cannot be loaded"):
        LiteRTEngine(models / "local.tflite", delegate="/nowhere/libedgetpu.so")


def test_an_unknown_engine_is_an_error(bundle: Bundle) -> None:
    with pytest.raises(ModelError, match="got 'abacus'"):
        open_engine(replace(bundle.part("local"), engine="abacus"))


@pytest.mark.parametrize(
    ("part", "blocked", "hint"),
    [
        ("local", ["ai_edge_litert", "tflite_runtime"], "pip install ai-edge-litert"),
        ("cloud", ["onnxruntime"], "pip install onnxruntime"),
    ],
)
def test_a_runtime_that_is_not_installed_is_said_with_how_to_install_it(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, part: str, blocked: list[str], hint: str
) -> None:
    for name in blocked:
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, f"{name}.interpreter", None)
    with pytest.raises(DependencyError, match=hint):
        open_engine(bundle.part(part))


def test_the_stage_imports_without_any_runtime() -> None:
    """A node that does not use ONNX must start without it, and one without LiteRT likewise."""
    code = (
        "import sys, mastra_ros.inference as stage; stage.Detector; "
        "runtimes = {'onnxruntime', 'ai_edge_litert', 'tflite_runtime', 'tensorflow'}; "
        "sys.exit(', '.join(runtimes & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
