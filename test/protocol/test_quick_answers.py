"""What is made without checks is what the messages themselves make, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from mastra_ros.errors import ProtocolError
from mastra_ros.protocol import Ack, FrameMessage, ResultMessage, decode, encode
from mastra_ros.protocol.quick_answers import acknowledgement, result_bytes
from mastra_ros.types import Detections, Result, Route

ENOUGH_BYTES = 1 << 24
LABELS = ("open", "kurz\n", "短路")


def frame(*, late: bool = False, frame_id: str = "run-7@ab") -> FrameMessage:
    return FrameMessage("line.1", -5, "key", 8, 8, "mono8", b"x", late=late, id=frame_id)


def detections(count: int) -> Detections:
    rng = np.random.default_rng(count)
    return Detections(
        rng.normal(size=(count, 4)).astype(np.float32),
        rng.random(count, np.float32),
        rng.integers(0, len(LABELS), count).astype(np.int32),
        LABELS,
    )


@pytest.mark.parametrize("count", [0, 1, 7, 300])
@pytest.mark.parametrize("run_ms", [0.0, 1.25, float("nan")])
@pytest.mark.parametrize("late", [True, False])
def test_a_result_has_the_bytes_of_its_message(count: int, run_ms: float, *, late: bool) -> None:
    message, found = frame(late=late), detections(count)
    result = Result(
        key=message.key,
        origin=Route.CLOUD,
        detections=found,
        model="m\x07",
        model_version="1",
        late=late,
        inference_ms=run_ms,
    )
    expected = encode(ResultMessage.from_result(result))
    made = result_bytes(
        message, found, model="m\x07", version="1", run_ms=run_ms, bytes_max=ENOUGH_BYTES
    )
    assert made == expected


def test_parts_of_an_array_and_ids_that_are_empty_make_no_difference() -> None:
    message, part = frame(frame_id=""), detections(9).parted([4, 5])[1]
    made = result_bytes(message, part, model="m", version="", run_ms=2.0, bytes_max=ENOUGH_BYTES)
    told = decode(made)
    assert isinstance(told, ResultMessage)
    assert np.array_equal(told.to_result().detections.boxes, part.boxes)
    assert encode(told) == made


def test_a_result_that_is_too_large_is_refused_as_by_its_message() -> None:
    with pytest.raises(ProtocolError, match=r"ResultMessage: expected at most 100 bytes, got \d+"):
        result_bytes(frame(), detections(20), model="m", version="1", run_ms=1.0, bytes_max=100)


def test_what_no_message_may_say_of_a_model_is_refused() -> None:
    one = Detections.empty(tuple(str(n) for n in range(5000)))
    with pytest.raises(ProtocolError, match="labels"):
        result_bytes(frame(), one, model="m", version="1", run_ms=1.0, bytes_max=ENOUGH_BYTES)


def test_more_detections_than_a_message_holds_are_refused() -> None:
    with pytest.raises(ProtocolError, match="boxes"):
        result_bytes(
            frame(), detections(10_001), model="m", version="1", run_ms=1.0, bytes_max=ENOUGH_BYTES
        )


def test_an_acknowledgement_is_that_of_its_message() -> None:
    made = acknowledgement(frame(), duplicate=True, held_us=12)
    expected = Ack("line.1", -5, True, 12, "run-7@ab")
    assert made == expected
    assert encode(made) == encode(expected)
