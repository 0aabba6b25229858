"""Sessions of devices with a real gateway, over TLS."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.protocol import (
    VERSION,
    Goodbye,
    Heartbeat,
    HeartbeatAck,
    Hello,
    KeyFrameRequest,
    Nack,
    ResultMessage,
    decode,
    encode,
)
from mastra_ros.types import PacketKind

DEADLINE_S = 30.0

ConnectDevice = Callable[..., Any]
Picture = Callable[..., np.ndarray]


@pytest.fixture(scope="module", params=["one process", "two"])
def gateway(
    request: pytest.FixtureRequest, gateway: EmbeddedGateway, gateway_of_two: EmbeddedGateway
) -> EmbeddedGateway:
    """Whatever a device does, it cannot tell how many processes its gateway has."""
    return gateway_of_two if request.param == "two" else gateway


def closed_with(device: Any) -> int | None:
    """The code with which the gateway closes the connection; answers before it are dropped."""
    deadline_s = time.monotonic() + DEADLINE_S
    try:
        while True:
            device.websocket.recv(timeout=max(0.0, deadline_s - time.monotonic()))
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def test_a_frame_is_answered_with_its_result_and_an_acknowledgement(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture
) -> None:
    device = connect_device(gateway, stream="answer")
    result, ack = device.infer(1000, picture((2, 3)))
    found = result.to_result()
    assert not ack.duplicate
    assert ack.held_us > 0
    assert (found.origin.value, found.model, found.model_version) == (
        "cloud",
        "white_cells_cloud",
        "1.2.3",
    )
    assert found.detections.labels == ("spot",)
    assert found.detections.boxes.tolist() == [[16, 24, 24, 32]]
    assert found.inference_ms > 0


def test_deltas_refer_to_acknowledged_frames(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture
) -> None:
    device = connect_device(gateway, stream="delta")
    device.infer(1, picture((0, 0)))
    message = device.packet(2, picture((0, 0), (5, 5)))
    assert message.kind == PacketKind.DELTA.value
    device.send(message)
    result, _ = device.answer(2)
    assert len(result.to_result().detections) == 2


def test_references_outlive_a_session(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture
) -> None:
    first = connect_device(gateway, stream="kept")
    first.infer(1, picture((0, 0)))
    first.websocket.close()
    second = connect_device(gateway, stream="kept")
    second.encoder = first.encoder
    message = second.packet(2, picture((1, 1)))
    assert message.kind == PacketKind.DELTA.value
    second.send(message)
    result, _ = second.answer(2)
    assert result.to_result().detections.boxes.tolist() == [[8, 8, 16, 16]]


def test_a_lost_reference_leads_to_a_key_frame(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture
) -> None:
    device = connect_device(gateway, stream="lost")
    device.packet(1, picture((0, 0)))  # never sent
    device.encoder.acknowledge(1)
    device.send(device.packet(2, picture((1, 1))))
    assert device.expect(Nack, 2).code == "reference_missing"
    assert device.expect(KeyFrameRequest).stream == "lost"
    device.encoder.require_key()
    result, _ = device.infer(3, picture((1, 1)))
    assert len(result.to_result().detections) == 1


def test_frames_in_flight_are_all_answered(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture
) -> None:
    device = connect_device(gateway, stream="many")
    for stamp_ns in (1, 2, 3, 4):
        device.send(device.packet(stamp_ns, picture((stamp_ns, 0)), late=stamp_ns % 2 == 0))
    for stamp_ns in (1, 2, 3, 4):
        result, _ = device.answer(stamp_ns)
        assert result.to_result().detections.boxes[0, 0] == stamp_ns * 8
        assert result.late == (stamp_ns % 2 == 0)


def test_more_frames_in_flight_than_allowed_are_refused_and_none_is_lost(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture
) -> None:
    device = connect_device(gateway, stream="flood")
    messages = [device.packet(stamp_ns, picture((1, 1)), late=True) for stamp_ns in range(1, 41)]
    for message in messages:
        device.send(message)
    answers = [device.expect((Nack, ResultMessage)) for _ in messages]
    refused = [answer.code for answer in answers if isinstance(answer, Nack)]
    assert set(refused) <= {"overloaded"}
    assert len(messages) - len(refused) >= 4
    assert {answer.stamp_ns for answer in answers} == set(range(1, 41))


def test_a_frame_sent_twice_counts_once(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture
) -> None:
    device = connect_device(gateway, stream="twice")
    message = device.packet(7, picture((4, 4)))
    device.send(message)
    first, ack = device.answer(7)
    assert not ack.duplicate
    again = connect_device(gateway, stream="twice")
    again.send(message)
    second, ack = again.answer(7)
    assert ack.duplicate
    assert second == first


def test_a_frame_sent_twice_at_once_is_worked_on_once(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture
) -> None:
    device = connect_device(gateway, stream="at-once")
    message = device.packet(7, picture((4, 4)))
    device.send(message)
    device.send(message)
    acks = [device.answer(7)[1] for _ in range(2)]
    assert sorted(ack.duplicate for ack in acks) == [False, True]


def test_a_corrupt_frame_is_refused_and_the_session_goes_on(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture
) -> None:
    device = connect_device(gateway, stream="corrupt")
    message = device.packet(1, picture((1, 1)))
    middle = len(message.payload) // 2
    damaged = message.payload[:middle] + b"\xff\x00\xff" + message.payload[middle + 3 :]
    device.send(replace(message, payload=damaged))
    assert device.expect(Nack, 1).code == "corrupt"
    device.send(replace(message, payload=b""))
    assert device.expect(Nack, 1).code == "corrupt"
    device.send(message)
    assert not device.answer(1)[1].duplicate


def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture
) -> None:
    device = connect_device(gateway, stream="large")
    device.send(device.packet(1, np.zeros((1100, 1000), np.uint8)))
    nack = device.expect(Nack, 1)
    assert nack.code == "too_large"
    assert "1000000 px" in nack.text
    device.infer(2, picture((1, 1)))


def test_features_and_unknown_models_are_refused(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture
) -> None:
    device = connect_device(gateway, stream="refuse")
    message = device.packet(1, picture((1, 1)))
    device.send(replace(message, kind=PacketKind.FEATURES.value))
    assert device.expect(Nack, 1).code == "failed"
    device.send(replace(message, meta={"model": "no-such-model"}))
    assert "no-such-model" in device.expect(Nack, 1).text
    device.send(replace(message, meta={"model": "white_cells"}))
    device.answer(1)


def test_a_frame_of_another_stream_is_forbidden(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture
) -> None:
    device = connect_device(gateway, stream="own")
    message = device.packet(1, picture((1, 1)))
    # Past our own session, which would not say it.
    device.websocket.send(encode(replace(message, stream="other")))
    nack = decode(device.websocket.recv(timeout=DEADLINE_S))
    assert isinstance(nack, Nack)
    assert (nack.stream, nack.stamp_ns, nack.code) == ("other", 1, "forbidden")
    device.send(message)
    device.answer(1)


def test_streams_of_two_devices_do_not_meet(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture
) -> None:
    for name, spots in (("cam-1", 1), ("cam-2", 2)):
        device = connect_device(gateway, name, "same")
        result, ack = device.infer(1, picture(*[(i * 2, 0) for i in range(spots)]))
        assert not ack.duplicate
        assert len(result.to_result().detections) == spots


def test_a_hello_of_another_device_ends_the_session(
    gateway: EmbeddedGateway, connect_device: ConnectDevice
) -> None:
    device = connect_device(gateway, greet=False)
    device.websocket.send(encode(Hello(VERSION, "cam-2", "main")))
    goodbye = device.expect(Goodbye)
    assert goodbye.code == "protocol"
    assert "the token is of cam-1" in goodbye.text
    assert closed_with(device) == 1002


def test_a_frame_before_hello_ends_the_session(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture
) -> None:
    device = connect_device(gateway, greet=False)
    device.websocket.send(encode(device.packet(1, picture((1, 1)))))
    assert device.expect(Goodbye).code == "protocol"
    assert closed_with(device) == 1002


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", bytes(np.random.default_rng(2).integers(0, 256, 5000, np.uint8)), "text"],
    ids=["empty", "one byte", "random", "text"],
)
def test_what_is_no_message_ends_only_its_own_session(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture, data: bytes | str
) -> None:
    other = connect_device(gateway, "cam-2", "unharmed")
    device = connect_device(gateway, stream="rubbish")
    device.websocket.send(data)
    assert device.expect(Goodbye).code == "protocol"
    assert closed_with(device) == 1002
    other.infer(time.monotonic_ns(), picture((1, 1)))


def test_a_message_that_is_too_large_ends_the_session(
    gateway: EmbeddedGateway, connect_device: ConnectDevice
) -> None:
    device = connect_device(gateway, stream="huge")
    device.websocket.send(bytes(100_001))
    goodbye = device.expect(Goodbye)
    assert "expected at most 100000 bytes, got 100001" in goodbye.text
    assert closed_with(device) == 1009


def test_a_message_beyond_what_the_server_takes_ends_the_connection(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture
) -> None:
    device = connect_device(gateway, stream="vast")
    with contextlib.suppress(ConnectionClosed):
        device.websocket.send(bytes(20_000_000))
    closed_with(device)
    connect_device(gateway, stream="vast").infer(1, picture((1, 1)))


def test_heartbeats_are_answered_at_once(
    gateway: EmbeddedGateway, connect_device: ConnectDevice
) -> None:
    device = connect_device(gateway, stream="heart")
    device.send(Heartbeat(0, 1234))
    # Our session never sent it by itself and so would not expect the answer.
    device.session._heartbeat_seq = 1
    assert device.expect(HeartbeatAck).sent_ns == 1234


def test_a_second_session_of_a_stream_replaces_the_first(
    gateway: EmbeddedGateway, connect_device: ConnectDevice, picture: Picture
) -> None:
    first = connect_device(gateway, stream="replaced")
    second = connect_device(gateway, stream="replaced")
    assert first.expect(Goodbye).code == "replaced"
    assert closed_with(first) == 1001
    second.infer(1, picture((1, 1)))


def test_a_goodbye_of_the_device_closes_in_order(
    gateway: EmbeddedGateway, connect_device: ConnectDevice
) -> None:
    device = connect_device(gateway, stream="bye")
    device.send(Goodbye("closing"))
    assert closed_with(device) == 1000


def test_a_silent_device_is_dropped(
    start_gateway: Callable[..., EmbeddedGateway], connect_device: ConnectDevice
) -> None:
    gateway = start_gateway(heartbeat_timeout_ms=300.0)
    device = connect_device(gateway, stream="silent")
    assert closed_with(device) == 1001
    assert "session ended (silent): nothing heard for 0.3 s" in gateway.log_path.read_text()
    gateway.stop()


def test_more_sessions_than_allowed_are_refused(
    start_gateway: Callable[..., EmbeddedGateway], connect_device: ConnectDevice
) -> None:
    gateway = start_gateway(sessions_max=1)
    connect_device(gateway, "cam-1")
    with pytest.raises(Exception, match="HTTP 503"):
        connect_device(gateway, "cam-2")
    gateway.stop()


def test_a_stopping_gateway_says_goodbye(
    start_gateway: Callable[..., EmbeddedGateway], connect_device: ConnectDevice
) -> None:
    gateway = start_gateway()
    device = connect_device(gateway)
    gateway.stop()
    assert device.expect(Goodbye).code == "closing"
    assert closed_with(device) == 1001
