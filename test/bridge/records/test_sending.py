"""What is under way, and what the gateway's answers mean."""

from __future__ import annotations

import pytest

from mastra_ros.bridge.records.lane import batch_bytes
from mastra_ros.bridge.records.sending import PAUSE_NS, UNANSWERED_NS, RecordSending, Stored
from mastra_ros.errors import ProtocolError
from mastra_ros.protocol import RecordsAck
from mastra_ros.protocol.records import Committed, NotTaken

EPOCH = "0123456789abcdef"


def stored(number: int, kind: str = "verdict", seq: int = 0) -> Stored:
    seq = seq or number
    return Stored(number, EPOCH, kind, seq, seq - 1, 5, b"\x80")


def test_a_committed_batch_is_settled_and_the_next_one_goes_on() -> None:
    sending = RecordSending(in_flight_max=2)
    message = sending.message("main", [stored(1), stored(2)], 0)
    assert sending.position == 2
    done = sending.answered(RecordsAck.of(message.number, [Committed("verdict", 2)], []), 1)
    assert done is not None
    assert done.committed == (("verdict", 2),)
    assert sending.may_send(1)
    assert sending.position == 2


def test_no_more_batches_are_under_way_than_are_allowed() -> None:
    sending = RecordSending(in_flight_max=2)
    sending.message("main", [stored(1)], 0)
    assert sending.may_send(0)
    sending.message("main", [stored(2)], 0)
    assert not sending.may_send(0)


def test_after_a_gap_it_goes_back_once_all_is_answered() -> None:
    sending = RecordSending(in_flight_max=2)
    first = sending.message("main", [stored(5)], 0)
    second = sending.message("main", [stored(6)], 0)
    gap = NotTaken("verdict", 5, "gap", "", 2)
    done = sending.answered(RecordsAck.of(first.number, [], [gap]), 0)
    assert done is not None
    assert done.rebased == (("verdict", 2),)
    assert not sending.may_send(0), "the other batch is not answered yet"
    sending.answered(RecordsAck.of(second.number, [], [NotTaken("verdict", 6, "gap", "", 2)]), 0)
    assert sending.may_send(0)
    assert sending.position == 0


def test_what_may_pass_is_tried_again_after_a_pause() -> None:
    sending = RecordSending()
    message = sending.message("main", [stored(1)], 0)
    refusal = NotTaken("verdict", 1, "overloaded", "no room")
    done = sending.answered(RecordsAck.of(message.number, [], [refusal]), 0)
    assert not done, "nothing changes on the disk"
    assert not sending.may_send(PAUSE_NS - 1)
    assert sending.may_send(PAUSE_NS)
    assert sending.position == 0


def test_what_is_refused_for_good_is_dropped_alone() -> None:
    sending = RecordSending()
    message = sending.message("main", [stored(1), stored(2), stored(3)], 0)
    ack = RecordsAck.of(
        message.number, [Committed("verdict", 1)], [NotTaken("verdict", 2, "corrupt", "no map")]
    )
    done = sending.answered(ack, 0)
    assert done is not None
    assert (done.committed, done.dropped) == ((("verdict", 1),), (("verdict", 2),))
    assert sending.may_send(0)
    assert sending.position == 0, "the third is sent again, as it was passed over"


@pytest.mark.parametrize(
    ("committed", "refused"),
    [
        ([Committed("verdict", 7)], []),
        ([Committed("other", 1)], []),
        ([], [NotTaken("verdict", 7, "corrupt")]),
        ([], [NotTaken("other", 1, "forbidden")]),
    ],
)
def test_a_gateway_cannot_settle_what_was_never_sent(
    committed: list[Committed], refused: list[NotTaken]
) -> None:
    sending = RecordSending()
    message = sending.message("main", [stored(1)], 0)
    done = sending.answered(RecordsAck.of(message.number, committed, refused), 0)
    assert not done
    assert not sending.may_send(0)
    assert sending.may_send(PAUSE_NS)
    assert sending.position == 0


def test_an_answer_to_nothing_means_nothing() -> None:
    assert RecordSending().answered(RecordsAck.of(4, [Committed("verdict", 1)], []), 0) is None


@pytest.mark.parametrize(
    "ack",
    [
        RecordsAck(1, (["verdict"],), ()),
        RecordsAck(1, (["verdict", "1"],), ()),
        RecordsAck(1, (), (["verdict", 1, "gap", "", -5],)),
        RecordsAck(1, (), ("verdict",)),
    ],
)
def test_an_answer_that_makes_no_sense_breaks_the_protocol(ack: RecordsAck) -> None:
    sending = RecordSending()
    sending.message("main", [stored(1)], 0)
    with pytest.raises(ProtocolError):
        sending.answered(ack, 0)


def test_what_is_never_answered_is_sent_again() -> None:
    sending = RecordSending(in_flight_max=1)
    sending.message("main", [stored(1)], 0)
    assert not sending.may_send(UNANSWERED_NS)
    assert sending.may_send(UNANSWERED_NS + 1)
    assert sending.position == 0


def test_a_batch_takes_the_link_for_a_few_milliseconds() -> None:
    assert batch_bytes(float("nan")) == 2048
    assert batch_bytes(5e6) == 1250
    assert batch_bytes(1e3) == 512
    assert batch_bytes(1e10) == 65_536
