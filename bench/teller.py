"""What devices in processes of their own share that tell something until they are killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mastra_ros.bridge import BridgeClient
from mastra_ros.bridge.clearing import NothingToHide
from mastra_ros.config import BridgeConfig

STREAM = "told"


def open_teller(gateway: str, keys: str, folder: str, device: str) -> tuple[BridgeClient, Path]:
    """A bridge with its spool in `folder`, and the file there that holds a byte for each told."""
    said = Path(folder) / "said"
    said.parent.mkdir(parents=True, exist_ok=True)
    config = BridgeConfig(
        gateway=gateway,
        keys_dir=keys,
        device=device,
        stream=STREAM,
        spool_path=str(said.with_name("spool.sqlite")),
        artefacts_dir=str(said.with_name("artefacts")),
        reconnect_delay_min_s=0.02,
        reconnect_delay_max_s=0.1,
        heartbeat_interval_ms=50.0,
    )

    def nothing(*_: Any) -> None:
        pass

    client = BridgeClient(
        config, on_result=nothing, on_failed=nothing, on_status=nothing, clearer=NothingToHide()
    )
    return client, said
