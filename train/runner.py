"""Run an exported detector on one thread: TFLite (int8 or float) with LiteRT, or ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mastra_ros.inference.contract import Grid
from mastra_ros.inference.engines.reporting import load_onnxruntime
from mastra_ros.inference.views import average_views, with_turned
from train.data import SIZE_PX
from train.decode import CELLS, Floats

Gray = npt.NDArray[np.uint8]


class LiteRtRunner:
    """A TFLite detector; quantised inputs and outputs are converted by their own parameters."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._model: Any = Interpreter(model_path=str(path), num_threads=1)
        self._model.allocate_tensors()
        self._input = self._model.get_input_details()[0]
        outputs = {int(o["shape"][-1]): o for o in self._model.get_output_details()}
        self._scores, self._boxes = outputs[6], outputs[4]

    def feed(self, image: Gray) -> None:
        """Set the input from a gray image (640, 640)."""
        values = image.astype(np.float32)[None, :, :, None] / 255
        if self._input["dtype"] == np.int8:
            scale, zero = self._input["quantization"]
            values = np.clip(np.rint(values / scale) + zero, -128, 127).astype(np.int8)
        self._model.set_tensor(self._input["index"], values)

    def invoke(self) -> None:
        """Run the network on the input that was fed."""
        self._model.invoke()

    def __call__(self, image: Gray) -> tuple[Floats, Floats]:
        """Logits (6400, 6) and distances (6400, 4) in cells, of a gray image (640, 640)."""
        self.feed(image)
        self.invoke()
        return self._output(self._scores), self._output(self._boxes)

    def _output(self, detail: dict[str, Any]) -> Floats:
        values = self._model.get_tensor(detail["index"])[0]
        if detail["dtype"] == np.int8:
            scale, zero = detail["quantization"]
            values = (values.astype(np.float32) - zero) * scale
        return np.asarray(values, dtype=np.float32)


class OnnxRunner:
    """An ONNX detector with the input `image` and the outputs `scores` and `boxes`.

    With two `views` the image is also seen turned by half a turn, and the outputs are averaged.
    """

    def __init__(self, path: Path, views: int = 1) -> None:
        onnxruntime = load_onnxruntime()

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._views = views
        self._values: Floats = np.zeros((1, 1, SIZE_PX, SIZE_PX), np.float32)
        self._out: list[Floats] = []

    def feed(self, image: Gray) -> None:
        """Set the input from a gray image (640, 640)."""
        self._values = image.astype(np.float32)[None, None] / np.float32(255)
        if self._views > 1:
            self._values = with_turned(self._values, "nchw")

    def invoke(self) -> None:
        """Run the network on the input that was fed."""
        self._out = self._session.run(["scores", "boxes"], {"image": self._values})
        if self._views > 1:
            self._out = average_views(self._out, Grid(scores_at=0, boxes_at=1, columns=CELLS))

    def __call__(self, image: Gray) -> tuple[Floats, Floats]:
        """Logits (6400, 6) and distances (6400, 4) in cells, of a gray image (640, 640)."""
        self.feed(image)
        self.invoke()
        return self._out[0][0], self._out[1][0]


Runner = LiteRtRunner | OnnxRunner


def open_runner(path: Path, views: int = 1) -> Runner:
    """The runner for the file's suffix; two views are for ONNX files only."""
    return LiteRtRunner(path) if path.suffix == ".tflite" else OnnxRunner(path, views)
