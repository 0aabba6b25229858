"""Every parameter of every stage, declared once.

The ROS declaration (description, range), the check of parameter files and of
`--set stage.parameter=value`, and the table in the docs are all made from these classes.
A parameter is `parameter(default, doc, …)`; its type is that of the annotation: bool, int,
float, str or tuple[str, ...]. `live=True` marks what may change while the node is active.
"""

from __future__ import annotations

from dataclasses import dataclass

from .parameter import NodeConfig, Parameter, build, parameter, parameters_of
from .scheduling_config import SchedulingConfig

__all__ = [
    "STAGES",
    "BridgeConfig",
    "CameraConfig",
    "CompressionConfig",
    "GatewayConfig",
    "InferenceConfig",
    "NodeConfig",
    "Parameter",
    "PipelineConfig",
    "SchedulingConfig",
    "build",
    "parameter",
    "parameters_of",
]


@dataclass(frozen=True)
class CameraConfig(NodeConfig):
    """Parameters of the camera: where frames come from."""

    source: str = parameter(
        "synthetic:pcb?seed=1",
        "synthetic:pcb?seed=N, folder:DIR, file:VIDEO, v4l2:/dev/videoN or rtsp://…",
    )
    rate_hz: float = parameter(
        15.0,
        "frames a second; 0: the source's own, or as fast as it can be read",
        unit="Hz",
        minimum=0.0,
        maximum=1000.0,
    )
    width_px: int = parameter(
        0, "width to ask the source for; 0 leaves it alone", unit="px", minimum=0, maximum=16384
    )
    height_px: int = parameter(
        0, "height to ask the source for; 0 leaves it alone", unit="px", minimum=0, maximum=16384
    )
    frame_limit: int = parameter(0, "stop after so many frames; 0 never", minimum=0)
    loop: bool = parameter(False, "start a folder or file again at its end")
    stamps: str = parameter(
        "own", "stamp frames with the clock at capture or as recorded", choices=("own", "recorded")
    )
    frame_id: str = parameter("camera", "coordinate frame in the header")
    stall_timeout_s: float = parameter(
        3.0, "reopen a live source silent for so long", unit="s", minimum=0.1, maximum=600.0
    )
    reopen_delay_max_s: float = parameter(
        10.0, "longest pause between two attempts to reopen", unit="s", minimum=0.1, maximum=600.0
    )


@dataclass(frozen=True)
class InferenceConfig(NodeConfig):
    """Parameters of the inference on the device."""

    bundle: str = parameter("models/board_defects", "bundle: a folder, or a name in our share")
    engine: str = parameter("auto", "runtime", choices=("auto", "litert", "onnxruntime"))
    threads: int = parameter(1, "threads of the runtime", minimum=1, maximum=64)
    delegate: str = parameter("xnnpack", "LiteRT delegate: xnnpack, none or a library's path")
    providers: tuple[str, ...] = parameter(
        ("CPUExecutionProvider",), "ONNX Runtime execution providers, in order"
    )
    score_threshold: float = parameter(
        0.0, "least score of a detection; 0 takes the bundle's", minimum=0.0, maximum=1.0, live=True
    )
    warmup_runs: int = parameter(3, "runs at activation, not published", minimum=0, maximum=100)
    ring_frames: int = parameter(24, "recent frames kept for falling back", minimum=2, maximum=1000)


@dataclass(frozen=True)
class CompressionConfig(NodeConfig):
    """Parameters of the compression before upload."""

    codec: str = parameter("jpeg", "still codec of regions", choices=("jpeg", "webp", "png"))
    quality: int = parameter(85, "quality of jpeg and webp", minimum=1, maximum=100, live=True)
    tile_px: int = parameter(
        32, "side of a tile, rounded up to a multiple of 8", unit="px", minimum=8, maximum=512
    )
    change_threshold: float = parameter(
        8.0,
        "a tile has changed where 4x4 px of it differ by more than this in the mean",
        unit="gray levels",
        minimum=0.0,
        maximum=255.0,
        live=True,
    )
    key_interval_frames: int = parameter(
        60, "at most so many delta frames between two key frames", minimum=0, maximum=100000
    )
    key_share: float = parameter(
        0.6, "more changed area than this makes a key frame", minimum=0.0, maximum=1.0
    )
    ring_frames: int = parameter(
        24, "recent frames kept for late requests", minimum=2, maximum=1000
    )


@dataclass(frozen=True)
class BridgeConfig(NodeConfig):
    """Parameters of the bridge to the gateway, and of the spool on disk."""

    gateway: str = parameter("", "wss://host:port of the gateway; empty works without one")
    device: str = parameter("camera-1", "name of this device: the subject of its tokens")
    stream: str = parameter("main", "name of this stream on the device")
    audience: str = parameter("mastra-gateway", "audience of the tokens")
    keys_dir: str = parameter("", "folder with ca.crt and the device's key; empty: MASTRA_KEYS")
    token_lifetime_s: float = parameter(
        300.0, "life of a token", unit="s", minimum=10.0, maximum=3600.0
    )
    heartbeat_interval_ms: float = parameter(
        100.0, "time between two heartbeats", unit="ms", minimum=10.0, maximum=60000.0
    )
    heartbeat_timeout_ms: float = parameter(
        500.0,
        "silence after which the link counts as lost",
        unit="ms",
        minimum=20.0,
        maximum=600000.0,
    )
    connect_timeout_s: float = parameter(
        3.0, "limit for TCP, TLS and hello together", unit="s", minimum=0.1, maximum=120.0
    )
    reconnect_delay_min_s: float = parameter(
        0.1, "first pause before reconnecting", unit="s", minimum=0.01, maximum=60.0
    )
    reconnect_delay_max_s: float = parameter(
        2.0, "longest pause before reconnecting", unit="s", minimum=0.01, maximum=600.0
    )
    in_flight_max: int = parameter(
        8,
        "live packets without acknowledgement before new ones are spooled",
        minimum=1,
        maximum=1000,
    )
    message_bytes_max: int = parameter(
        8_388_608, "largest message either way", unit="bytes", minimum=4096, maximum=268435456
    )
    spool_path: str = parameter("", "SQLite file; empty: a folder of this user's state")
    spool_bytes_max: int = parameter(
        536_870_912, "most bytes kept on disk", unit="bytes", minimum=65536
    )
    spool_age_max_s: float = parameter(
        604_800.0, "oldest record kept", unit="s", minimum=1.0, maximum=1e9
    )
    accept_settings: bool = parameter(
        True, "let the gateway change live parameters of the other nodes of this device"
    )
    backlog_in_flight: int = parameter(
        2, "spooled packets without acknowledgement at once", minimum=1, maximum=100
    )


@dataclass(frozen=True)
class PipelineConfig(NodeConfig):
    """Parameters of the factory inspection."""

    trigger: str = parameter(
        "belt",
        "belt: boards pass through the picture; frame: every frame is a board of its own",
        choices=("belt", "frame"),
    )
    reject_score: float = parameter(
        0.5, "a defect of this score rejects the board", minimum=0.0, maximum=1.0, live=True
    )
    confirm_frames: int = parameter(
        2, "frames of a board that must show a defect (belt)", minimum=1, maximum=100
    )
    confirm_share: float = parameter(
        0.3,
        "share of the frames showing a place that must show its defect (belt)",
        minimum=0.0,
        maximum=1.0,
    )
    settle_ms: float = parameter(
        1000.0,
        "longest wait for missing results of a board that has left the picture (belt)",
        unit="ms",
        minimum=0.0,
        maximum=60000.0,
    )
    belt_gray_min: int = parameter(
        12, "darkest gray level of the empty belt", unit="gray levels", minimum=0, maximum=255
    )
    belt_gray_max: int = parameter(
        80, "brightest gray level of the empty belt", unit="gray levels", minimum=0, maximum=255
    )
    log_path: str = parameter("", "JSON-lines file of verdicts; empty writes none")
    pictures_dir: str = parameter("", "folder for annotated pictures of boards; empty saves none")
    pictures_max: int = parameter(
        50, "at most so many pictures are kept", minimum=0, maximum=100000
    )


@dataclass(frozen=True)
class GatewayConfig(NodeConfig):
    """Parameters of the gateway."""

    host: str = parameter("127.0.0.1", "address to listen on")
    port: int = parameter(8443, "TCP port; 0 takes a free one", minimum=0, maximum=65535)
    keys_dir: str = parameter("", "folder with the server's key and devices' public keys")
    bundles: tuple[str, ...] = parameter(
        ("models/board_defects",), "bundles served; the first answers streams that name none"
    )
    audience: str = parameter("mastra-gateway", "audience that tokens must name")
    allow: tuple[str, ...] = parameter(
        ("127.0.0.0/8", "::1/128"), "networks that may connect (CIDR)"
    )
    device_settings: tuple[str, ...] = parameter(
        (), "live parameters that devices shall change, as stage.parameter=value"
    )
    state_dir: str = parameter("", "folder of the results' database; empty: in keys_dir's parent")
    batch_size_max: int = parameter(8, "most frames in one run of a model", minimum=1, maximum=256)
    batch_delay_ms: float = parameter(
        2.0, "longest wait for a batch to fill", unit="ms", minimum=0.0, maximum=1000.0
    )
    batch_run_ms: float = parameter(
        50.0,
        "batches are kept so small that a run takes about no longer, so that none waits for many",
        unit="ms",
        minimum=0.1,
        maximum=60000.0,
    )
    threads: int = parameter(1, "threads of ONNX Runtime a model", minimum=1, maximum=256)
    views_max: int = parameter(
        2, "most views of a frame for a model whose bundle wants several", minimum=1, maximum=2
    )
    queue_frames_max: int = parameter(
        256, "frames waiting for a model before new ones are refused", minimum=1, maximum=100000
    )
    message_bytes_max: int = parameter(
        8_388_608, "largest message either way", unit="bytes", minimum=4096, maximum=16777216
    )
    sessions_max: int = parameter(
        256, "devices connected at once; more are refused", minimum=1, maximum=100000
    )
    in_flight_max: int = parameter(
        16, "frames of one device in work before more are refused", minimum=1, maximum=10000
    )
    pixels_max: int = parameter(
        33_554_432, "largest picture decoded", unit="px", minimum=4096, maximum=268435456
    )
    heartbeat_timeout_ms: float = parameter(
        10_000.0, "a device silent for so long is dropped", unit="ms", minimum=100.0, maximum=6e5
    )
    references_kept: int = parameter(
        16, "decoded pictures kept a stream as references", minimum=1, maximum=1000
    )
    streams_kept: int = parameter(
        64, "streams whose references are kept, newest in use first", minimum=1, maximum=100000
    )
    references_bytes_max: int = parameter(
        1_073_741_824, "most memory of all references", unit="bytes", minimum=1048576
    )
    results_max: int = parameter(
        5_000_000, "most results kept on disk; the oldest are forgotten", minimum=1
    )
    results_age_max_s: float = parameter(
        1_209_600.0,
        "oldest result kept; longer than any spool keeps a frame, or that may count twice",
        unit="s",
        minimum=60.0,
        maximum=1e9,
    )


STAGES: dict[str, type[NodeConfig]] = {
    "camera": CameraConfig,
    "inference": InferenceConfig,
    "scheduling": SchedulingConfig,
    "compression": CompressionConfig,
    "bridge": BridgeConfig,
    "pipeline": PipelineConfig,
    "gateway": GatewayConfig,
}
"""The config of each stage, by the name that the node and the parameter file use."""

REMOTE_STAGES = tuple(stage for stage in STAGES if stage not in ("bridge", "gateway"))
"""Stages that a gateway may ask a device to change; how it is reached is the device's affair."""
