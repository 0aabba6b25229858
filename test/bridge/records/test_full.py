"""A full file of records is said once and counted, and an older gateway costs frames nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from mastra_ros.bridge import BridgeClient
from mastra_ros.bridge.fake_gateway import FakeGateway
from mastra_ros.config import BridgeConfig
from mastra_ros.records import Record
from mastra_ros.types import Packet


def test_beside_a_gateway_that_takes_none_records_wait_are_refused_when_full_and_frames_go_on(
    connected: Callable[..., BridgeClient],
    gateway: FakeGateway,
    packet: Callable[..., Packet],
    ears: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        client = connected(records_bytes_max=65_536)
        for number in range(10):
            client.send_record(Record("event", number, {"fill": bytes(10_000)}))
        ears.wait_status(lambda status: status.records_refused == 4, "four without room")
        client.send(packet(7), 5000.0)
        ears.wait(lambda: 7 in ears.result_keys, "the answer to a frame")
    assert ears.status.records == 6
    assert "full" in ears.status.record_error
    said = [record.message for record in caplog.records if "a record is refused" in record.message]
    assert len(said) == 1
    older = [record.message for record in caplog.records if "older version" in record.message]
    assert len(older) == 1
    assert not any(type(message).__name__ == "Records" for message in gateway.heard)


def test_without_a_gateway_there_is_nobody_to_keep_records_for(
    bridge: Callable[..., BridgeClient], config: Callable[..., BridgeConfig], ears: Any
) -> None:
    client = bridge(config(gateway=""))
    client.send_record(Record("event", 1, {}))
    ears.wait(lambda: ears.status, "a status")
    assert (ears.status.records, ears.status.records_refused) == (0, 0)
