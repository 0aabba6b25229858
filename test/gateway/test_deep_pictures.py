"""Pictures of 16 bits from a device's encoder through a real bridge to a real gateway over TLS.

The low byte of each pixel is noise, which any coding that loses a bit would change; the number in
white cells, which the gateway's model finds, says which picture it has decoded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mastra_ros.bridge import BridgeClient, BridgeStatus
from mastra_ros.bridge.clearing import NothingToHide
from mastra_ros.compression import Decoder, StreamEncoder
from mastra_ros.compression.stills import DEEP, JPEGLS
from mastra_ros.config import BridgeConfig, CompressionConfig, build
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.privacy import hiding_nothing
from mastra_ros.types import Frame, FrameKey, Packet, PacketKind, Result

PATIENCE_S = 30.0
GATE = hiding_nothing("pictures made for this test")


def deep(number: int, bits: int = 16) -> np.ndarray:
    """uint16 (64, 64): cells that show a number in the high byte, and noise in the low one."""
    cells = np.zeros((8, 8), np.uint16)
    for digit in range(12):
        cells[2 * (digit // 4), 2 * (digit % 4)] = 0xFF00 * (number >> digit & 1)
    noise = np.random.default_rng(number).integers(0, 256, (64, 64)).astype(np.uint16)
    image = np.kron(cells, np.ones((8, 8), np.uint16)) | noise
    return (image >> (16 - bits)) << (16 - bits)  # as a camera of so many bits fills them


def number_in(result: Result) -> int:
    return sum(
        1 << (round(x / 8) // 2 + 4 * (round(y / 8) // 2))
        for x, y in result.detections.boxes[:, :2]
    )


@pytest.fixture(scope="module")
def deep_gateway(start_gateway: Callable[..., EmbeddedGateway]) -> EmbeddedGateway:
    return start_gateway(batch_delay_ms=1.0)


@pytest.fixture
def link(
    deep_gateway: EmbeddedGateway, keys: Path, tmp_path: Path
) -> Iterator[tuple[BridgeClient, Callable[..., Any], list[Result], list[BridgeStatus]]]:
    """A bridge with a session, a wait, the answers, and what was last told of the link."""
    answers: list[Result] = []
    told: list[BridgeStatus] = []
    changed = threading.Condition()

    def hear(kept: list[Any]) -> Callable[..., None]:
        def one(value: Any, *_: Any) -> None:
            with changed:
                kept.append(value)
                changed.notify_all()

        return one

    def wait(condition: Callable[[], Any], what: str) -> None:
        until_s = time.monotonic() + PATIENCE_S
        with changed:
            while not condition():
                assert time.monotonic() < until_s, f"never happened: {what}"
                changed.wait(0.05)

    config = BridgeConfig(
        gateway=f"wss://127.0.0.1:{deep_gateway.port}",
        device="cam-1",
        stream="deep",
        keys_dir=str(keys),
        spool_path=str(tmp_path / "spool.sqlite"),
        heartbeat_interval_ms=50.0,
    )
    failed = hear([])
    client = BridgeClient(
        config,
        on_result=hear(answers),
        on_failed=failed,
        on_status=hear(told),
        on_renew=failed,
        clearer=NothingToHide(),
    )
    client.start()
    wait(lambda: told and told[-1].link.connected, "a session")
    yield client, wait, answers, told
    client.stop(10.0)


@pytest.mark.parametrize("bits", [16, 12])
@pytest.mark.parametrize("codec", ["jpegls", "png"])
def test_frames_of_16_bits_reach_the_gateway_without_loss(link: Any, codec: str, bits: int) -> None:
    if codec == JPEGLS:
        pytest.importorskip("jpeg_ls", reason="pyjpegls is not installed")
    client, wait, answers, told = link
    assert DEEP in told[-1].codecs
    config = build(CompressionConfig, {"codec": codec, "change_threshold": 0.0})
    encoder, gateway_like = StreamEncoder(config, "deep"), Decoder()
    began_ns = {("jpegls", 16): 100, ("jpegls", 12): 200, ("png", 16): 300, ("png", 12): 400}
    packets: list[Packet] = []
    for count in range(1, 7):
        stamp_ns = began_ns[codec, bits] + count
        status = told[-1]
        encoder.follow(
            session=status.session,
            codecs=status.codecs,
            acknowledged=(status.acknowledged_ns, status.acknowledged_id),
            key_frame_needed=status.key_frame_needed,
            key_frames_asked=status.key_frames_asked,
        )
        image = deep(0x35 * count & 0xFFF, bits)
        key = FrameKey("deep", stamp_ns, f"f{stamp_ns}")
        packet = encoder.encode(GATE.clear(Frame(key, image, "mono16")))
        packets.append(packet)
        client.send(packet, PATIENCE_S * 1e3)
        wait(lambda key=key: any(one.key == key for one in answers), "the answer")
        answer = next(one for one in answers if one.key == key)
        assert not answer.error
        assert number_in(answer) == 0x35 * count & 0xFFF
        wait(lambda at=stamp_ns: told[-1].acknowledged_ns == at, "its acknowledgement is told")
        # What the gateway has decoded these very bytes to: their checks name each state.
        seen = gateway_like.decode(packet)
        assert seen.encoding == "mono16"
        assert np.array_equal(seen.image, image)
    assert {packet.encoding for packet in packets} == {"mono16"}
    assert {packet.kind for packet in packets} <= {PacketKind.KEY, PacketKind.DELTA}


def test_tiles_of_16_bits_rest_on_what_the_gateway_holds(link: Any) -> None:
    client, wait, answers, told = link
    encoder = StreamEncoder(
        build(CompressionConfig, {"codec": "png", "change_threshold": 0.0}), "deep"
    )
    image, kinds = deep(0x111), []
    for count in range(1, 5):
        status, stamp_ns = told[-1], 500 + count
        encoder.follow(
            session=status.session,
            codecs=status.codecs,
            acknowledged=(status.acknowledged_ns, status.acknowledged_id),
            key_frame_needed=False,
            key_frames_asked=0,
        )
        image = image.copy()
        image[40:44, 40:44] ^= 1  # one step of 65,536
        key = FrameKey("deep", stamp_ns, f"f{stamp_ns}")
        packet = encoder.encode(GATE.clear(Frame(key, image, "mono16")))
        kinds.append(packet.kind)
        client.send(packet, PATIENCE_S * 1e3)
        wait(lambda key=key: any(one.key == key for one in answers), "the answer")
        wait(lambda at=stamp_ns: told[-1].acknowledged_ns == at, "its acknowledgement is told")
        assert number_in(answers[-1]) == 0x111
    assert kinds == [PacketKind.KEY, PacketKind.DELTA, PacketKind.DELTA, PacketKind.DELTA]
