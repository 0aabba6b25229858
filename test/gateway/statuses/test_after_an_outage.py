"""After an outage the gateway has what a device told of itself meanwhile, each where it was."""

from __future__ import annotations

import itertools
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from mastra_ros.bridge import BridgeClient, BridgeStatus
from mastra_ros.bridge.clearing import NothingToHide
from mastra_ros.config import BridgeConfig
from mastra_ros.emulation import ShapingProxy, parse_faults
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.protocol.keys import audience_of, load_device_key
from mastra_ros.protocol.tokens import sign_token


def test_what_was_missed_in_an_outage_is_filled_in(
    gateway: EmbeddedGateway,
    keys: Path,
    tls: ssl.SSLContext,
    tmp_path: Path,
    wait_for: Callable[..., None],
) -> None:
    seen: list[BridgeStatus] = []

    def nothing(*_: Any) -> None:
        pass

    def history() -> list[dict[str, Any]]:
        token = sign_token("cam-1", load_device_key(keys, "cam-1"), audience_of(keys))
        answer = httpx.get(
            f"{gateway.url}/v1/devices/cam-1/status?stream=outage",
            headers={"Authorization": f"Bearer {token}"},
            verify=tls,
            timeout=60,
        )
        told = answer.json()["streams"]
        return list(told[0]["history"]) if told else []

    with ShapingProxy("127.0.0.1", gateway.port) as proxy:
        config = BridgeConfig(
            gateway=f"wss://127.0.0.1:{proxy.port}",
            keys_dir=str(keys),
            device="cam-1",
            stream="outage",
            spool_path=str(tmp_path / "spool.sqlite"),
            artefacts_dir=str(tmp_path / "artefacts"),
            reconnect_delay_max_s=0.2,
        )
        client = BridgeClient(
            config,
            on_result=nothing,
            on_failed=nothing,
            on_status=seen.append,
            clearer=NothingToHide(),
        )
        client.start()
        try:
            number = 0

            def told(more: int) -> None:
                """Tell so many, one in each second."""
                nonlocal number
                for _ in range(more):
                    number += 1
                    client.send_status({"at_ns": number})
                    time.sleep(1.0)

            wait_for(lambda: seen and seen[-1].link.connected, "the link")
            told(1)
            wait_for(lambda: len(history()) == 1, "the first one")
            proxy.set_faults(parse_faults("down@0s"))
            wait_for(lambda: not seen[-1].link.connected, "the outage")
            told(3)
            assert len(history()) == 1
            proxy.set_faults(parse_faults("delay=1ms@0s"))
            wait_for(lambda: len(history()) == number, "those of the outage")
        finally:
            client.stop(10.0)
    entries = history()
    assert [one["status"]["at_ns"] for one in entries] == list(range(1, number + 1))
    apart_s = [(b["at_ns"] - a["at_ns"]) / 1e9 for a, b in itertools.pairwise(entries)]
    assert all(gap_s > 0.5 for gap_s in apart_s), "each where it was, and not when it came"
