"""The parameters of the bridge and the spool."""

from __future__ import annotations

from dataclasses import dataclass

from .parameter import NodeConfig, parameter


@dataclass(frozen=True)
class BridgeConfig(NodeConfig):
    """Parameters of the bridge to the gateway, and of the spool on disk."""

    gateway: str = parameter("", "wss://host:port of the gateway; empty works without one")
    proxy: str = parameter(
        "",
        "HTTP proxy on the way to the gateway: empty for none, `environment` for HTTPS_PROXY and "
        "NO_PROXY, or host:port; never used for loopback",
    )
    device: str = parameter("camera-1", "name of this device: the subject of its tokens")
    stream: str = parameter("main", "name of this stream on the device")
    audience: str = parameter(
        "",
        "audience of the tokens; empty: that of the folder of keys, or `mastra-gateway` where it "
        "has none",
    )
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
    show_pictures: bool = parameter(
        True,
        "send small cleared pictures, two a second at most, while somebody looks at this device in "
        "the dashboard",
    )
    backlog_in_flight: int = parameter(
        2, "spooled packets without acknowledgement at once", minimum=1, maximum=100
    )
    artefacts_dir: str = parameter(
        "", "folder of what the gateway gives back; empty: a folder of this user's state"
    )
    artefacts_bytes_max: int = parameter(
        1_073_741_824,
        "most bytes of artefacts kept; the oldest are forgotten, and larger ones refused",
        unit="bytes",
        minimum=65536,
    )
    records_bytes_max: int = parameter(
        67_108_864,
        "room for records that wait, beside that of packets; when it is full, new ones are refused",
        unit="bytes",
        minimum=65536,
    )
    sets_bytes_max: int = parameter(
        4_294_967_296,
        "room for frames of sets that wait; when it is full, new ones are refused",
        unit="bytes",
        minimum=65536,
    )
