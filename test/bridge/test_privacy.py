"""The spool gives only what was made under today's promise: the rest is cleared anew or stays."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from numpy.typing import NDArray

from mastra_ros.bridge import SqliteSpool
from mastra_ros.bridge.spool_file import SCHEMA_0
from mastra_ros.bridge.spool_rows import checksum
from mastra_ros.compression import Decoder, Encoder, FeatureEncoder
from mastra_ros.config import CompressionConfig, PrivacyConfig
from mastra_ros.errors import ModelError
from mastra_ros.nodes.clear_anew import ClearAnew
from mastra_ros.privacy import Gate, Opened, Region, hiding_nothing
from mastra_ros.protocol import FrameMessage, PrivacyReport
from mastra_ros.types import Features, Frame, FrameKey, GateState, Packet

BARE = hiding_nothing("pictures made for this test")
FACE = Region(8, 8, 32, 32, "face", 0.9)


class Finder:
    """Finds one face."""

    name, digest = "fake", "0" * 64

    def find(self, _: NDArray[np.uint8]) -> list[Region]:
        return [FACE]

    def close(self) -> None:
        """Nothing to free."""


def gate(config: PrivacyConfig) -> Gate:
    return Gate(config, lambda _: Opened([Finder()]))


def picture(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (48, 64), np.uint8)


def bare(stamp_ns: int, **options: Any) -> Packet:
    """A picture encoded as before there was a gate, or under the mode off."""
    frame = Frame(FrameKey("main", stamp_ns), picture(stamp_ns), "mono8")
    packet = Encoder(CompressionConfig(codec="png")).encode(BARE.clear(frame), **options)
    return dataclasses.replace(packet, clearance=options.get("clearance", ""))


def delta(stamp_ns: int) -> Packet:
    encoder = Encoder(CompressionConfig(codec="png", key_share=1.0))
    first = Frame(FrameKey("main", 1), picture(1), "mono8")
    encoder.encode(BARE.clear(first))
    encoder.acknowledge(1)
    changed = Frame(FrameKey("main", stamp_ns), picture(2), "mono8")
    packet = encoder.encode(BARE.clear(changed))
    assert packet.reference_ns
    return dataclasses.replace(packet, clearance="")


def features(stamp_ns: int) -> Packet:
    tensor = np.zeros((2, 3), np.int8)
    of = Features(FrameKey("main", stamp_ns), "c1", tensor, 0.1, 0, 64, 48)
    return dataclasses.replace(FeatureEncoder().encode(BARE.clear_features(of)), clearance="")


def spooled_by_older_code(path: Path, *packets: Packet) -> None:
    """A spool as it was before frames had ids, and records a clearance."""
    with sqlite3.connect(path) as db:
        db.executescript(SCHEMA_0)
        for packet in packets:
            message = FrameMessage.from_packet(dataclasses.replace(packet, late=True))
            fields = dataclasses.asdict(message)
            del fields["clearance"], fields["id"]
            data = msgpack.packb((3, fields), use_bin_type=True)
            kind = int(packet.reference_ns != 0)
            db.execute(
                "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(packet.key.stream, packet.key.stamp_ns, kind, 1 - kind, 1e9, len(data)),
                    *(checksum(packet.key, data), data),
                ),
            )
    db.close()


def correlation(message: FrameMessage) -> float:
    """How much of what was in the region is in what has arrived."""
    shown = Decoder().decode(message.to_packet()).image
    inside = np.s_[8:40, 8:40]
    truth = picture(message.stamp_ns)[inside]
    part = shown[inside].astype(float)
    return float(np.corrcoef(truth.ravel(), part.ravel())[0, 1])


def state_of(config: PrivacyConfig, **changes: Any) -> GateState:
    return dataclasses.replace(gate(config).state, **changes)


def test_records_of_an_older_spool_are_cleared_anew_or_kept_and_counted(
    bridge: Any, config: Any, gateway: Any, ears: Any, tmp_path: Path
) -> None:
    path = tmp_path / "spool.sqlite"
    spooled_by_older_code(path, bare(10), bare(11), delta(12), features(13))
    hiding = PrivacyConfig()
    client = bridge(config(), clearer=ClearAnew(hiding, gate))
    ears.wait_status(lambda s: s.link.connected, "a session")
    client.gate(state_of(hiding))
    ears.wait_status(lambda s: s.delivered_late == 2 and s.kept == 2, "two delivered, two kept")
    assert sorted(frame.stamp_ns for frame in gateway.frames) == [10, 11]
    assert max(correlation(frame) for frame in gateway.frames) < 0.35
    assert {frame.clearance for frame in gateway.frames} == {gate(hiding).clearance}
    assert client.stop(10.0)
    spool = SqliteSpool(path)
    assert [p.key.stamp_ns for p in spool.next_batch(10)] == [13, 12]
    spool.close()


def test_the_same_spool_leaves_as_it_is_where_nothing_need_be_hidden(
    bridge: Any, config: Any, gateway: Any, ears: Any, tmp_path: Path
) -> None:
    spooled_by_older_code(tmp_path / "spool.sqlite", bare(10), bare(11))
    bridge(config())
    ears.wait_status(lambda s: s.delivered_late == 2, "both delivered")
    assert min(correlation(frame) for frame in gateway.frames) > 0.99


def test_nothing_of_the_spool_leaves_before_the_promise_is_known_and_then_what_was_made_under_it(
    bridge: Any, config: Any, gateway: Any, ears: Any
) -> None:
    hiding = PrivacyConfig()
    client = bridge(config(), clearer=ClearAnew(hiding, gate))
    ears.wait_status(lambda s: s.link.connected, "a session")
    frame = Frame(FrameKey("main", 5), picture(5), "mono8")
    cleared = Encoder(CompressionConfig()).encode(gate(hiding).clear(frame), late=True)
    client.send(cleared, 0.0)
    ears.wait_status(lambda s: s.link.spooled == 1, "it in the spool")
    heard = len(ears.statuses)
    ears.wait(lambda: len(ears.statuses) > heard + 10, "half a second")
    assert not gateway.frames
    client.gate(state_of(hiding))
    ears.wait_status(lambda s: s.delivered_late == 1, "it delivered")
    assert gateway.frames[0].payload == cleared.payload


@pytest.mark.parametrize("clearance", ["", "off", "regions:00000000", "faces_and_plate"])
def test_a_live_packet_without_the_promise_fails_at_once_and_is_nowhere(
    bridge: Any, config: Any, gateway: Any, ears: Any, clearance: str
) -> None:
    client = bridge(config(), clearer=ClearAnew(PrivacyConfig(), gate))
    ears.wait_status(lambda s: s.link.connected, "a session")
    for late in (False, True):
        client.send(dataclasses.replace(bare(7, late=late), clearance=clearance), 500.0)
    ears.wait(lambda: len(ears.failures) == 2, "both refused")
    assert all("privacy" in reason for _, reason in ears.failures)
    ears.wait_status(lambda s: s.withheld == 2, "both counted")
    assert not gateway.frames
    assert ears.status.link.spooled == 0


def test_while_the_finders_cannot_be_opened_old_records_stay_and_then_they_go(
    bridge: Any, config: Any, gateway: Any, ears: Any, tmp_path: Path
) -> None:
    spooled_by_older_code(tmp_path / "spool.sqlite", bare(10))
    hiding = PrivacyConfig()
    missing = [True]

    def open_(config: PrivacyConfig) -> Gate:
        if missing:
            raise ModelError("its model is not here")
        return gate(config)

    client = bridge(config(), clearer=ClearAnew(hiding, open_))
    ears.wait_status(lambda s: s.link.connected, "a session")
    client.gate(state_of(hiding, shut="its model is not here"))
    ears.wait_status(lambda s: s.kept == 1, "it kept")
    assert not gateway.frames
    missing.clear()
    client.gate(state_of(hiding))
    ears.wait_status(lambda s: s.delivered_late == 1, "it delivered")
    assert correlation(gateway.frames[0]) < 0.35


def test_the_gateway_hears_what_the_gate_does_where_it_has_announced_that(
    connected: Callable[..., Any], gateway: Any, ears: Any
) -> None:
    client = connected()
    client.gate(GateState("faces_and_plates", "", False, "x", sent=5, masked=2, withheld=3))

    def reports() -> list[Any]:
        return [message for message in gateway.heard if isinstance(message, PrivacyReport)]

    ears.wait(reports, "a report")
    assert reports()[0] == PrivacyReport("faces_and_plates", 5, 2, 3, 0)
