"""Hello and welcome announce which codecs of video each end has; older ends know of none."""

from __future__ import annotations

import msgpack

from mastra_ros.protocol import Session, State


def device(*codecs: str) -> Session:
    return Session("device", device="camera-1", stream="main", now_ns=0, codecs=codecs)  # type: ignore[arg-type]


def gateway(*codecs: str) -> Session:
    return Session("gateway", device="camera-1", now_ns=0, codecs=codecs)  # type: ignore[arg-type]


def test_both_ends_announce_the_codecs_that_they_have() -> None:
    ours, theirs = device("h264", "vp9"), gateway("vp9", "av1")
    theirs.receive(ours.hello(0), 0)
    (event,) = ours.receive(theirs.welcome(0), 0)
    assert theirs.peer_codecs == ("h264", "vp9")
    assert ours.peer_codecs == event.codecs == ("vp9", "av1")


def without_codecs(data: bytes) -> bytes:
    """A message as an older version writes it, which knows of no codecs."""
    type_id, fields = msgpack.unpackb(data)
    del fields["codecs"]
    return msgpack.packb((type_id, fields))


def test_older_ends_announce_none_and_skip_what_newer_ones_announce() -> None:
    ours, theirs = device("h264"), gateway("vp9")
    theirs.receive(without_codecs(ours.hello(0)), 0)
    ours.receive(without_codecs(theirs.welcome(0)), 0)
    assert ours.state is theirs.state is State.OPEN
    assert ours.peer_codecs == theirs.peer_codecs == ()
