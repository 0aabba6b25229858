"""What the gate of a device has done is shown in the metrics, while the device is connected."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.protocol import PrivacyReport

DEADLINE_S = 30.0


def shown(http: Callable[..., Any], stream: str) -> dict[str, float]:
    """The counts of one stream of camera-1, by mode and outcome."""
    text = http("/metrics").text
    found = {}
    for line in text.splitlines():
        if line.startswith("mastra_gateway_privacy_frames{") and f'stream="{stream}"' in line:
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            found[f"{labels['mode']} {labels['outcome']}"] = float(line.rsplit(" ", 1)[1])
    return found


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_counts_of_a_connected_device_are_shown_and_forgotten_when_it_goes(
    gateway: EmbeddedGateway, connect_device: Callable[..., Any], http: Callable[..., Any]
) -> None:
    device = connect_device(gateway, stream="private")
    device.send(PrivacyReport("faces_and_plates", 50, 7, 3, 1))
    until(lambda: len(shown(http, "private")) == 4)
    assert shown(http, "private") == {
        "faces_and_plates sent": 50.0,
        "faces_and_plates masked": 7.0,
        "faces_and_plates withheld": 3.0,
        "faces_and_plates kept": 1.0,
    }
    device.send(PrivacyReport("<script>", 51))
    until(lambda: shown(http, "private").get("other sent") == 51.0)
    assert len(shown(http, "private")) == 4
    device.websocket.close()
    until(lambda: not shown(http, "private"))
