"""The parameters of the inference."""

from __future__ import annotations

from dataclasses import dataclass

from .parameter import parameter
from .pictures import HeardPictureConfig


@dataclass(frozen=True)
class InferenceConfig(HeardPictureConfig):
    """Parameters of the inference on the device."""

    bundle: str = parameter("models/board_defects", "bundle: a folder, or a name in our share")
    bundles_dir: str = parameter(
        "", "folder of bundles that the gateway rolls out to this device; empty: they are refused"
    )
    engine: str = parameter(
        "auto",
        "runtime: auto measures the installed ones, bundle takes the one that the bundle names",
        choices=("auto", "bundle", "litert", "onnxruntime", "openvino"),
    )
    choices_dir: str = parameter(
        "", "folder where auto keeps its choices; empty: a folder of this user's state"
    )
    threads: int = parameter(1, "threads of the runtime", minimum=1, maximum=64)
    delegate: str = parameter("xnnpack", "LiteRT delegate: xnnpack, none or a library's path")
    providers: tuple[str, ...] = parameter(
        ("CPUExecutionProvider",), "ONNX Runtime execution providers, in order"
    )
    device: str = parameter("CPU", "OpenVINO device: CPU, GPU, NPU or as OpenVINO names it")
    score_threshold: float = parameter(
        0.0, "least score of a detection; 0 takes the bundle's", minimum=0.0, maximum=1.0, live=True
    )
    warmup_runs: int = parameter(3, "runs at activation, not published", minimum=0, maximum=100)
    ring_frames: int = parameter(24, "recent frames kept for falling back", minimum=2, maximum=1000)
