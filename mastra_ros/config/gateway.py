"""The parameters of the gateway."""

from __future__ import annotations

from dataclasses import dataclass

from .parameter import NodeConfig, parameter


@dataclass(frozen=True)
class GatewayConfig(NodeConfig):
    """Parameters of the gateway."""

    host: str = parameter("127.0.0.1", "address to listen on")
    port: int = parameter(8443, "TCP port; 0 takes a free one", minimum=0, maximum=65535)
    keys_dir: str = parameter("", "folder with the server's key and devices' public keys")
    bundles: tuple[str, ...] = parameter(
        ("models/board_defects",), "bundles served; the first answers streams that name none"
    )
    audience: str = parameter(
        "",
        "another audience that tokens may name; empty: that of the folder of keys alone, or "
        "`mastra-gateway` where it has none",
    )
    allow: tuple[str, ...] = parameter(
        ("127.0.0.0/8", "::1/128"), "networks that may connect (CIDR)"
    )
    device_settings: tuple[str, ...] = parameter(
        (), "live parameters that devices shall change, as stage.parameter=value"
    )
    state_dir: str = parameter("", "folder of the results' database; empty: in keys_dir's parent")
    batch_size_max: int = parameter(32, "most frames in one run of a model", minimum=1, maximum=256)
    batch_delay_ms: float = parameter(
        0.0,
        "longest wait for a batch to fill while the model has nothing to do",
        unit="ms",
        minimum=0.0,
        maximum=1000.0,
    )
    batch_run_ms: float = parameter(
        50.0,
        "batches are kept so small that a run takes about no longer, so that none waits for many",
        unit="ms",
        minimum=0.1,
        maximum=60000.0,
    )
    engine: str = parameter(
        "auto",
        "runtime: auto measures the installed ones, bundle takes the one that the bundle names",
        choices=("auto", "bundle", "onnxruntime", "openvino", "litert", "torch"),
    )
    part: str = parameter(
        "auto",
        "part of each bundle: auto lets the engine auto take the int8 one where that is faster",
        choices=("auto", "cloud", "cloud_int8"),
    )
    choices_dir: str = parameter(
        "", "folder where auto keeps its choices; empty: a folder of this user's state"
    )
    device: str = parameter("CPU", "OpenVINO device: CPU, GPU, NPU or as OpenVINO names it")
    providers: tuple[str, ...] = parameter(
        ("CPUExecutionProvider",),
        "ONNX Runtime's execution providers in order of preference (CUDAExecutionProvider, "
        "TensorrtExecutionProvider); the log and `/v2` say where another one runs",
    )
    tensors: tuple[str, ...] = parameter(
        (),
        "models served by `/v2` alone with their own tensors: NAME=FILE.onnx or .pt2, or NAME=URL "
        "of a model on a server of the Open Inference Protocol (http, https, grpc, grpcs); "
        "NAME:VERSION where there are several versions; NAME*2 for two instances; NAME@1/4/16 for "
        "runs of so many rows alone",
    )
    tensors_instances: int = parameter(
        1, "instances of each of these models that says none", minimum=1, maximum=64
    )
    torch_device: str = parameter(
        "cpu", "where PyTorch runs programs (.pt2): cpu, cuda, cuda:1; never another in its place"
    )
    upstream: tuple[str, ...] = parameter(
        (),
        "bundles whose network runs on another server of the Open Inference Protocol, as "
        "BUNDLE=URL; pictures are prepared and answers read here",
    )
    upstream_limit_ms: float = parameter(
        2000.0,
        "longest time for an answer of another server, all tries together",
        unit="ms",
        minimum=1.0,
        maximum=600000.0,
    )
    upstream_retries: int = parameter(
        2, "further tries where another server gives no answer", minimum=0, maximum=10
    )
    upstream_ca: str = parameter(
        "", "authority (PEM) of other servers' certificates; empty: those of the system"
    )
    grpc_port: int = parameter(
        -1,
        "TCP port of the protocol over gRPC; 0 takes a free one, -1 offers none",
        minimum=-1,
        maximum=65535,
    )
    processes: int = parameter(
        1,
        "1: all in one process; 2: small pictures are decoded, run and kept by a process beside it "
        "for each bundle, which loads the bundle again",
        minimum=1,
        maximum=2,
    )
    threads: int = parameter(1, "threads of the runtime a model", minimum=1, maximum=256)
    views_max: int = parameter(
        2, "most views of a frame for a model whose bundle wants several", minimum=1, maximum=2
    )
    queue_frames_max: int = parameter(
        256, "frames waiting for a model before new ones are refused", minimum=1, maximum=100000
    )
    message_bytes_max: int = parameter(
        8_388_608, "largest message either way", unit="bytes", minimum=4096, maximum=16777216
    )
    body_bytes_max: int = parameter(
        33_554_432,
        "largest body of a request over HTTP, compressed or not: a 4K picture has 25 MB",
        unit="bytes",
        minimum=4096,
        maximum=268435456,
    )
    sessions_max: int = parameter(
        256, "devices connected at once; more are refused", minimum=1, maximum=100000
    )
    sessions_device_max: int = parameter(
        32,
        "sessions of one device at once, and never more than half of all",
        minimum=1,
        maximum=100000,
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
    video: bool = parameter(
        True, "take video, which FFmpeg decodes in this process; without, devices send stills"
    )
    references_kept: int = parameter(
        16, "decoded pictures kept a stream as references", minimum=1, maximum=1000
    )
    streams_kept: int = parameter(
        64, "streams whose references are kept, newest in use first", minimum=1, maximum=100000
    )
    references_bytes_max: int = parameter(
        1_073_741_824,
        "most memory of all references; they also give way to what else memory_bytes_max allows",
        unit="bytes",
        minimum=1048576,
    )
    memory_bytes_max: int = parameter(
        1_073_741_824,
        "most memory above that of the models: messages, pictures in work, references",
        unit="bytes",
        minimum=67108864,
    )
    model_silence_s: float = parameter(
        10.0,
        "a model that runs for longer does not answer: health says so, and a stop waits no longer",
        unit="s",
        minimum=0.1,
        maximum=3600.0,
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
    applications: tuple[str, ...] = parameter(
        ("factory",),
        "applications that see the records of devices and answer them; more come from packages",
    )
    application_silence_s: float = parameter(
        10.0,
        "an application that does not answer for so long is killed and started again",
        unit="s",
        minimum=0.1,
        maximum=3600.0,
    )
    live_bytes_max: int = parameter(
        67_108_864,
        "most bytes of live frames that wait for one application that wants to see them",
        unit="bytes",
        minimum=1048576,
    )
    artefacts_bytes_max: int = parameter(
        4_294_967_296,
        "most bytes of artefacts kept for devices; the oldest are forgotten",
        unit="bytes",
        minimum=1048576,
    )
    records_max: int = parameter(
        2_000_000, "most records of devices kept on disk; the oldest are forgotten", minimum=1
    )
    records_age_max_s: float = parameter(
        7_776_000.0, "oldest record of a device kept", unit="s", minimum=60.0, maximum=1e9
    )
    sets_bytes_max: int = parameter(
        8_589_934_592,
        "most bytes of frames of sets kept of one device, until an application closes the set",
        unit="bytes",
        minimum=1048576,
    )
    rollouts_dir: str = parameter(
        "", "folder of bundles (folders or NAME.zip) that may be rolled out to devices; empty: none"
    )
    rollout_soak_s: float = parameter(
        600.0,
        "how long the devices of a stage of a roll-out have to do well before the next",
        unit="s",
        minimum=0.0,
        maximum=1e7,
    )
    rollout_switch_s: float = parameter(
        600.0,
        "a device that is heard and has not switched for so long ends a roll-out",
        unit="s",
        minimum=1.0,
        maximum=1e7,
    )
    rollout_agreement_min: float = parameter(
        0.7,
        "least agreement of a new bundle with the one before, on a device's own frames",
        minimum=0.0,
        maximum=1.0,
    )
    rollout_age_p99_ms_max: float = parameter(
        2000.0,
        "a roll-out goes back where the age p99 of a device's results is above this",
        unit="ms",
        minimum=1.0,
        maximum=600000.0,
    )
    rollout_errors_max: float = parameter(
        0.05,
        "a roll-out goes back where a larger share of a device's results has failed",
        minimum=0.0,
        maximum=1.0,
    )
    alarm_webhook: str = parameter(
        "",
        "https address to which each alarm is POSTed as JSON when it begins and ends (http only on "
        "this machine); empty: none",
    )
    alarm_ca: str = parameter(
        "", "authority (PEM) of the webhook's certificate; empty: those of the system"
    )
