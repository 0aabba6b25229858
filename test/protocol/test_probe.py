"""Probes of a link's rate: answered at once, within bounds, and unknown to older peers."""

from __future__ import annotations

import pytest

from mastra_ros.errors import ProtocolError
from mastra_ros.protocol import Probe, ProbeAck, Send, Session, decode
from mastra_ros.protocol.envelope import EXTENSIONS
from mastra_ros.protocol.messages import PROBE_BYTES_MAX
from mastra_ros.protocol.session import PROBED_BYTES_MAX


def opened() -> tuple[Session, Session]:
    ours = Session("device", device="camera-1", stream="main", now_ns=0)
    theirs = Session("gateway", device="camera-1", now_ns=0)
    theirs.receive(ours.hello(0), 0)
    ours.receive(theirs.welcome(0), 0)
    return ours, theirs


def answer(ours: Session, theirs: Session, probe: Probe) -> ProbeAck:
    send, heard = theirs.receive(ours.send(probe, 0), 0)
    assert isinstance(send, Send)
    assert heard == probe
    (event,) = ours.receive(send.data, 0)
    assert isinstance(event, ProbeAck)
    return event


def test_a_probe_is_answered_with_what_came_and_what_was_asked_for() -> None:
    ours, theirs = opened()
    assert answer(ours, theirs, Probe(7, 500, bytes(1000))) == ProbeAck(7, 1000, bytes(500))


def test_probes_are_extensions_which_an_older_peer_skips() -> None:
    assert Probe.TYPE_ID in EXTENSIONS
    assert ProbeAck.TYPE_ID in EXTENSIONS


def test_no_probe_is_larger_than_the_bound() -> None:
    with pytest.raises(ProtocolError, match="at most 262144"):
        Probe(0, 0, bytes(PROBE_BYTES_MAX + 1))
    with pytest.raises(ProtocolError, match="answer_bytes"):
        Probe(0, PROBE_BYTES_MAX + 1)


def test_a_session_gives_padding_only_up_to_its_bound() -> None:
    ours, theirs = opened()
    rounds = PROBED_BYTES_MAX // PROBE_BYTES_MAX
    sizes = [
        len(answer(ours, theirs, Probe(seq, PROBE_BYTES_MAX)).padding) for seq in range(rounds + 2)
    ]
    assert sizes == [PROBE_BYTES_MAX] * rounds + [0, 0]


def test_a_large_answer_passes_a_gateway_with_a_small_limit() -> None:
    theirs = Session("gateway", device="camera-1", now_ns=0, bytes_max=4096)
    ours = Session("device", device="camera-1", stream="main", now_ns=0)
    theirs.receive(ours.hello(0), 0)
    ours.receive(theirs.welcome(0), 0)
    send, _ = theirs.receive(ours.send(Probe(0, 100_000), 0), 0)
    assert isinstance(send, Send)
    assert isinstance(decode(send.data), ProbeAck)
