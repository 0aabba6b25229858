"""Messages check themselves at birth, and carry packets and results unchanged."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mastra_ros.errors import ProtocolError
from mastra_ros.protocol import Ack, FrameMessage, Hello, Nack, ResultMessage, Settings
from mastra_ros.types import Detections, FrameKey, Packet, PacketKind, Result, Route

KEY = FrameKey("main", 1_700_000_000_123_456_789)


def packet(kind: PacketKind = PacketKind.DELTA, **changes: object) -> Packet:
    values = {
        "key": KEY,
        "kind": kind,
        "payload": b"\x00\xff" * 50,
        "width_px": 640,
        "height_px": 480,
        "encoding": "bgr8",
        "reference_ns": 5 if kind in (PacketKind.DELTA, PacketKind.REPEAT) else 0,
        "hard": True,
        "meta": {"cut": "relu_5", "shape": [1, 20, 15, 8], "scale": 0.25, "zero_point": -3},
    }
    return Packet(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", PacketKind)
@pytest.mark.parametrize("late", [False, True])
def test_a_packet_survives_its_message(kind: PacketKind, late: bool) -> None:
    original = packet(kind, late=late)
    assert FrameMessage.from_packet(original, 150.0).to_packet() == original


def test_a_late_packet_has_no_deadline() -> None:
    assert FrameMessage.from_packet(packet(late=True), 150.0).deadline_ms == 0.0
    assert FrameMessage.from_packet(packet(), 150.0).deadline_ms == 150.0


def test_a_result_survives_its_message() -> None:
    found = Detections(
        np.array([[1, 2, 3.5, 4], [0, 0, 9, 9]], np.float32),
        np.array([0.25, 1.0], np.float32),
        np.array([1, 0], np.int32),
        ("open", "short"),
    )
    original = Result(
        KEY, Route.CLOUD, found, model="m", model_version="2", late=True, inference_ms=3.5
    )
    back = ResultMessage.from_result(original).to_result()
    np.testing.assert_array_equal(back.detections.boxes, found.boxes)
    np.testing.assert_array_equal(back.detections.scores, found.scores)
    np.testing.assert_array_equal(back.detections.classes, found.classes)
    assert back.detections.labels == found.labels
    assert (back.key, back.origin, back.model, back.model_version) == (KEY, Route.CLOUD, "m", "2")
    assert back.late
    assert back.inference_ms == 3.5


def test_an_empty_result_survives_its_message() -> None:
    original = Result(KEY, Route.SPLIT, Detections.empty(), error="out of memory")
    back = ResultMessage.from_result(original).to_result()
    assert len(back.detections) == 0
    assert back.error == "out of memory"
    assert math.isnan(back.inference_ms)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"boxes": bytes(16), "scores": bytes(8), "classes": bytes(8)}, "boxes"),
        ({"boxes": bytes(16), "scores": bytes(4), "classes": b"\x07\0\0\0"}, "classes"),
        ({"boxes": b"\xff" * 16, "scores": bytes(4), "classes": bytes(4)}, "finite"),
        ({"boxes": bytes(16), "scores": b"\xff" * 4, "classes": bytes(4)}, "scores"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays: dict[str, bytes], said: str) -> None:
    message = ResultMessage("main", 1, "cloud", labels=("open",), **arrays)  # type: ignore[arg-type]
    with pytest.raises(ProtocolError, match=said):
        message.to_result()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Hello(0, "camera-1", "main"), "version"),
        (lambda: Hello(1, "../camera", "main"), "device"),
        (lambda: Hello(1, "..", "main"), "device"),
        (lambda: Hello(1, "camera-1", "a b"), "stream"),
        (lambda: Hello(1, "x" * 65, "main"), "device"),
        (lambda: Hello(True, "camera-1", "main"), "version"),
        (lambda: Ack("main", 2**63), "stamp_ns"),
        (lambda: Ack("main", 1.0), "stamp_ns"),  # type: ignore[arg-type]
        (lambda: Ack("main", 1, duplicate=1), "duplicate"),  # type: ignore[arg-type]
        (lambda: Nack("main", 1, "because"), "code"),
        (lambda: Nack("main", 1, "failed", "x" * 1025), "text"),
        (lambda: Settings([]), "values"),  # type: ignore[arg-type]
        (lambda: Settings({1: 2}), "values"),  # type: ignore[dict-item]
        (lambda: Settings({"a": {"b": {"c": {"d": {"e": 1}}}}}), "nesting"),
        (lambda: Settings({"a": list(range(65))}), "items"),
        (lambda: Settings({"a": object()}), "plain"),
        (lambda: Settings({"a": 2**64}), "64 bits"),
        (lambda: Settings({"a": "x" * 1025}), "characters"),
        (lambda: FrameMessage("m", 1, "delta", 1, 1, "bgr8", b""), "reference"),
        (lambda: FrameMessage("m", 1, "key", 1, 1, "bgr8", b"", reference_ns=4), "reference"),
        (lambda: FrameMessage("m", 1, "key", 0, 1, "bgr8", b""), "width_px"),
        (lambda: FrameMessage("m", 1, "key", 1, 99999, "bgr8", b""), "height_px"),
        (lambda: FrameMessage("m", 1, "movie", 1, 1, "bgr8", b""), "kind"),
        (lambda: FrameMessage("m", 1, "key", 1, 1, "bgr8", "text"), "payload"),  # type: ignore[arg-type]
        (lambda: FrameMessage("m", 1, "key", 1, 1, "bgr8", b"", deadline_ms=math.nan), "deadline"),
        (lambda: FrameMessage("m", 1, "key", 1, 1, "bgr8", b"", deadline_ms=-1.0), "deadline"),
        (lambda: FrameMessage("m", 1, "key", 1, 1, "bgr8", b"", deadline_ms="1"), "deadline"),  # type: ignore[arg-type]
        (lambda: ResultMessage("m", 1, "cloud", boxes=bytes(15)), "boxes"),
        (lambda: ResultMessage("m", 1, "cloud", labels="abc"), "labels"),  # type: ignore[arg-type]
    ],
)
def test_a_field_that_is_wrong_is_named(make: object, said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        make()  # type: ignore[operator]


def test_an_error_is_short_whatever_was_sent() -> None:
    with pytest.raises(ProtocolError) as caught:
        Hello(1, "x" * 1_000_000, "main")
    assert len(str(caught.value)) < 300
