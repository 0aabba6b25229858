"""The session: who may say what when, heartbeats, silence; whatever comes, only ProtocolError."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mastra_ros.errors import ProtocolError
from mastra_ros.protocol import (
    LEGAL,
    Ack,
    FrameMessage,
    Goodbye,
    Heartbeat,
    HeartbeatAck,
    Hello,
    KeyFrameRequest,
    Nack,
    Opened,
    PrivacyReport,
    Probe,
    ProbeAck,
    Refused,
    Renewal,
    ResultMessage,
    Role,
    Send,
    Session,
    Settings,
    Silent,
    State,
    Welcome,
    decode,
    encode,
)
from mastra_ros.protocol.messages import MESSAGES

MS = 1_000_000
FRAME = FrameMessage("main", 5, "key", 8, 8, "bgr8", b"picture")


def device(**options: int) -> Session:
    return Session("device", device="camera-1", stream="main", now_ns=0, **options)  # type: ignore[arg-type]


def gateway(**options: int) -> Session:
    return Session("gateway", device="camera-1", now_ns=0, **options)  # type: ignore[arg-type]


def opened(**options: int) -> tuple[Session, Session]:
    """A device and a gateway that have greeted each other at 0 ns."""
    ours, theirs = device(**options), gateway()
    theirs.receive(ours.hello(0), 0)
    ours.receive(theirs.welcome(0), 0)
    return ours, theirs


def test_hello_and_welcome_open_a_session() -> None:
    ours, theirs = device(), gateway()
    (hello,) = theirs.receive(ours.hello(0), 0)
    assert hello == Hello(1, "camera-1", "main")
    (event,) = ours.receive(theirs.welcome(0, {"compression.quality": 60}), 0)
    assert isinstance(event, Opened)
    assert event.settings == {"compression.quality": 60}
    assert ours.state is theirs.state is State.OPEN
    assert ours.session == theirs.session == event.session != ""
    assert theirs.stream == "main"


def test_both_ends_announce_the_codecs_that_they_have() -> None:
    ours, theirs = device(codecs=("h264", "vp9")), gateway(codecs=("vp9", "av1"))  # type: ignore[arg-type]
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
    ours, theirs = device(codecs=("h264",)), gateway(codecs=("vp9",))  # type: ignore[arg-type]
    theirs.receive(without_codecs(ours.hello(0)), 0)
    ours.receive(without_codecs(theirs.welcome(0)), 0)
    assert ours.state is theirs.state is State.OPEN
    assert ours.peer_codecs == theirs.peer_codecs == ()


def test_a_newer_device_and_this_gateway_agree_on_the_older_version() -> None:
    theirs = gateway()
    theirs.receive(encode(Hello(9, "camera-1", "main")), 0)
    assert theirs.version == 1
    assert decode(theirs.welcome(0)).version == 1  # type: ignore[union-attr]


def test_a_gateway_of_a_version_that_we_do_not_know_is_told_so() -> None:
    ours = device()
    ours.hello(0)
    with pytest.raises(ProtocolError, match="version") as caught:
        ours.receive(encode(Welcome(2, "s")), 0)
    assert ours.state is State.CLOSED
    farewell = decode(ours.farewell(caught.value))
    assert isinstance(farewell, Goodbye)
    assert farewell.code == "version"


def test_a_device_that_names_another_than_its_token_is_refused() -> None:
    theirs = gateway()
    with pytest.raises(ProtocolError, match="the token is of camera-1"):
        theirs.receive(encode(Hello(1, "camera-2", "main")), 0)
    assert theirs.state is State.CLOSED


def test_a_frame_of_another_stream_is_nacked_and_the_session_goes_on() -> None:
    _, theirs = opened()
    other = FrameMessage("other", 5, "key", 8, 8, "bgr8", b"picture")
    send, refused = theirs.receive(encode(other), 0)
    assert isinstance(send, Send)
    nack = decode(send.data)
    assert isinstance(nack, Nack)
    assert (nack.stream, nack.stamp_ns, nack.code) == ("other", 5, "forbidden")
    assert refused == Refused(other, nack)
    assert theirs.receive(encode(FRAME), 0) == [FRAME]


@pytest.mark.parametrize(
    "message",
    [
        Ack("other", 1),
        Nack("other", 1, "failed"),
        KeyFrameRequest("other"),
        ResultMessage("other", 1, "cloud"),
    ],
)
def test_a_device_hears_only_of_its_own_stream(message: Ack) -> None:
    ours, theirs = opened()
    with pytest.raises(ProtocolError, match="expected stream main, got other"):
        ours.receive(encode(message), 0)
    with pytest.raises(ProtocolError, match="expected stream main, got other"):
        theirs.send(message, 0)
    assert theirs.state is State.OPEN


@pytest.mark.parametrize("state", [State.START, State.GREETED, State.OPEN])
@pytest.mark.parametrize("role", Role)
def test_what_is_not_in_the_table_is_refused_when_heard_and_when_said(
    role: Role, state: State
) -> None:
    examples = {
        Hello: Hello(1, "camera-1", "main"), Welcome: Welcome(1, "s"), FrameMessage: FRAME,
        Ack: Ack("main", 5), ResultMessage: ResultMessage("main", 5, "cloud"),
        Nack: Nack("main", 5, "failed"), KeyFrameRequest: KeyFrameRequest("main"),
        Heartbeat: Heartbeat(0, 0), HeartbeatAck: HeartbeatAck(0, 0), Settings: Settings({}),
        Goodbye: Goodbye(), Probe: Probe(0), ProbeAck: ProbeAck(0), Renewal: Renewal("a.b.c"),
        PrivacyReport: PrivacyReport("off"),
    }  # fmt: skip
    peer = Role.GATEWAY if role is Role.DEVICE else Role.DEVICE
    for cls in MESSAGES:
        speaker, hearer = in_state(role, state), in_state(peer, state)
        if cls in LEGAL[role, state]:
            assert speaker.send(examples[cls], 0)
            if cls is not HeartbeatAck:  # of which none was asked for
                assert hearer.receive(encode(examples[cls]), 0)
            continue
        with pytest.raises(ProtocolError, match=f"a {role.value} may not say this"):
            speaker.send(examples[cls], 0)
        assert speaker.state is state
        with pytest.raises(ProtocolError, match=f"a {role.value} may not say this"):
            hearer.receive(encode(examples[cls]), 0)
        assert hearer.state is State.CLOSED


def in_state(role: Role, state: State) -> Session:
    ours, theirs = device(), gateway()
    if state is not State.START:
        theirs.receive(ours.hello(0), 0)
    if state is State.OPEN:
        ours.receive(theirs.welcome(0), 0)
    return ours if role is Role.DEVICE else theirs


def test_after_goodbye_nothing_is_heard_and_nothing_can_be_said() -> None:
    ours, theirs = opened()
    (goodbye,) = ours.receive(theirs.send(Goodbye("closing", "restart"), 0), 0)
    assert goodbye == Goodbye("closing", "restart")
    assert ours.receive(encode(Ack("main", 1)), 0) == []
    assert ours.next_timeout_ns is None
    assert ours.tick(10**12) == []
    with pytest.raises(ProtocolError):
        ours.send(FRAME, 0)


def test_an_extension_that_we_do_not_know_counts_as_a_sign_of_life_only() -> None:
    ours, _ = opened(silence_timeout_ns=500 * MS)
    assert ours.receive(msgpack.packb([99, {}]), 400 * MS) == []
    assert ours.tick(600 * MS) == []


def test_a_heartbeat_is_answered_at_once_and_measured() -> None:
    ours, theirs = opened(heartbeat_interval_ns=100 * MS)
    assert ours.next_timeout_ns == 0
    (beat,) = ours.tick(0)
    assert isinstance(beat, Send)
    answer, heard = theirs.receive(beat.data, 10 * MS)
    assert heard == Heartbeat(0, 0)
    assert isinstance(answer, Send)
    assert ours.receive(answer.data, 30 * MS) == [HeartbeatAck(0, 0)]
    assert ours.link.srtt_ns == 30 * MS
    assert ours.link.loss == 0.0
    assert ours.next_timeout_ns == 100 * MS
    assert ours.tick(99 * MS) == []


def test_the_gateway_beats_at_the_interval_that_the_device_asks_for() -> None:
    _, theirs = opened(heartbeat_interval_ns=100 * MS)
    (beat,) = theirs.tick(5 * MS)
    assert isinstance(beat, Send)
    assert theirs.next_timeout_ns == 105 * MS


def test_after_a_long_sleep_one_heartbeat_is_sent_and_not_a_burst() -> None:
    ours, _ = opened(heartbeat_interval_ns=100 * MS, silence_timeout_ns=60_000 * MS)
    assert len(ours.tick(5000 * MS)) == 1
    assert ours.tick(5001 * MS) == []


def test_heartbeats_answered_too_late_or_not_at_all_are_losses() -> None:
    ours, theirs = opened(heartbeat_interval_ns=100 * MS, silence_timeout_ns=10_000 * MS)
    for n in range(4):  # answered after 1 ms
        (beat,) = ours.tick(n * 100 * MS)
        answer, _ = theirs.receive(beat.data, n * 100 * MS)  # type: ignore[union-attr]
        ours.receive(answer.data, n * 100 * MS + MS)  # type: ignore[union-attr]
    assert ours.link.loss == 0.0
    (beat,) = ours.tick(400 * MS)
    ours.tick(520 * MS)
    assert ours.link.loss == pytest.approx(1 / 5)
    answer, _ = theirs.receive(beat.data, 530 * MS)  # type: ignore[union-attr]
    ours.receive(answer.data, 530 * MS)  # type: ignore[union-attr]
    assert ours.link.loss == pytest.approx(1 / 5)  # counted once, but its round trip counts
    assert ours.link.srtt_ns > MS


def test_an_answer_to_a_heartbeat_that_was_never_sent_is_an_error() -> None:
    ours, _ = opened()
    with pytest.raises(ProtocolError, match="never sent"):
        ours.receive(encode(HeartbeatAck(0, 0)), 0)


def test_a_second_answer_to_the_same_heartbeat_means_nothing() -> None:
    ours, _ = opened(heartbeat_interval_ns=100 * MS)
    ours.tick(0)
    ours.receive(encode(HeartbeatAck(0, 0)), 10 * MS)
    ours.receive(encode(HeartbeatAck(0, 0)), 90 * MS)
    assert ours.link.srtt_ns == 10 * MS


def test_silence_closes_the_session() -> None:
    ours, _ = opened(heartbeat_interval_ns=100 * MS, silence_timeout_ns=500 * MS)
    ours.tick(450 * MS)
    assert ours.next_timeout_ns == 500 * MS
    assert ours.tick(500 * MS) == [Silent(500 * MS)]
    assert ours.state is State.CLOSED


def test_a_peer_that_talks_and_never_answers_heartbeats_is_dropped_later() -> None:
    ours, _ = opened(heartbeat_interval_ns=100 * MS, silence_timeout_ns=500 * MS)
    now = 0
    while ours.state is State.OPEN:
        events = ours.tick(now)
        if ours.state is State.OPEN:
            ours.receive(encode(Heartbeat(now // MS, now)), now)
        now += 50 * MS
    assert events == [Silent(20 * 500 * MS)]
    assert ours.link.loss == 1.0


def test_a_slow_socket_is_not_a_peer_that_does_not_answer() -> None:
    ours, _ = opened(heartbeat_interval_ns=100 * MS, silence_timeout_ns=500 * MS)
    for now in range(0, 60_000 * MS, 50 * MS):
        ours.tick(now)
        ours.receive(encode(Heartbeat(now // MS, now)), now)
        ours.wrote(now)
    assert ours.state is State.OPEN


def test_a_peer_that_never_greets_is_dropped() -> None:
    theirs = gateway(silence_timeout_ns=500 * MS)
    assert theirs.next_timeout_ns == 500 * MS
    assert theirs.tick(499 * MS) == []
    assert theirs.tick(500 * MS) == [Silent(500 * MS)]


@pytest.mark.parametrize("data", [b"", b"\x00", b"GET / HTTP/1.1", bytes(100)])
def test_bytes_that_are_no_message_close_the_session(data: bytes) -> None:
    ours, _ = opened()
    with pytest.raises(ProtocolError) as caught:
        ours.receive(data, 0)
    assert ours.state is State.CLOSED
    assert decode(ours.farewell(caught.value)) == Goodbye("protocol", str(caught.value))


def test_a_message_of_our_own_that_is_too_large_harms_nothing() -> None:
    ours, _ = opened(bytes_max=4096)
    with pytest.raises(ProtocolError, match="at most 4096 bytes"):
        ours.send(FrameMessage("main", 5, "key", 8, 8, "bgr8", bytes(5000)), 0)
    assert ours.send(FRAME, 0)


ANY = st.one_of(
    st.builds(Hello, st.integers(1, 3), st.sampled_from(["camera-1", "x"]), st.just("main")),
    st.builds(Welcome, st.integers(1, 2), st.just("s")),
    st.builds(
        lambda stream, stamp: FrameMessage(stream, stamp, "key", 8, 8, "bgr8", b""),
        st.sampled_from(["main", "other"]), st.integers(0, 5),
    ),
    st.builds(Ack, st.sampled_from(["main", "other"]), st.integers(0, 5)),
    st.builds(Nack, st.just("main"), st.integers(0, 5), st.just("overloaded")),
    st.builds(ResultMessage, st.just("main"), st.integers(0, 5), st.just("cloud")),
    st.builds(KeyFrameRequest, st.sampled_from(["main", "other"])),
    st.builds(Heartbeat, st.integers(0, 5), st.integers(0, 5)),
    st.builds(HeartbeatAck, st.integers(0, 5), st.integers(0, 5)),
    st.just(Settings({"a": 1})),
    st.builds(Goodbye), st.builds(Probe, st.integers(0, 5), st.integers(0, 9)),
    st.builds(ProbeAck, st.integers(0, 5)),
)  # fmt: skip
ORDER = [State.START, State.GREETED, State.OPEN, State.CLOSED]


class Sessions(RuleBasedStateMachine):
    """Two sessions that get everything that may come, in any order, at any time."""

    def __init__(self) -> None:
        super().__init__()
        options = {"heartbeat_interval_ns": 100 * MS, "silence_timeout_ns": 500 * MS}
        self.sessions = {Role.DEVICE: device(**options), Role.GATEWAY: gateway(**options)}
        self.now = 0
        self.before = dict.fromkeys(Role, State.START)

    @rule(role=st.sampled_from(Role), message=ANY)
    def say(self, role: Role, message: Ack) -> None:
        session = self.sessions[role]
        legal = type(message) in LEGAL[role, session.state]
        try:
            session.send(message, self.now)
        except ProtocolError:
            return
        assert legal

    @rule(role=st.sampled_from(Role), message=ANY)
    def hear(self, role: Role, message: Ack) -> None:
        self.receive(role, encode(message))

    @rule(role=st.sampled_from(Role), data=st.binary(max_size=20))
    def hear_rubbish(self, role: Role, data: bytes) -> None:
        self.receive(role, data)

    @rule()
    def greet(self) -> None:
        ours, theirs = self.sessions[Role.DEVICE], self.sessions[Role.GATEWAY]
        if ours.state is theirs.state is State.START:
            theirs.receive(ours.hello(self.now), self.now)
            ours.receive(theirs.welcome(self.now), self.now)
            assert ours.state is theirs.state is State.OPEN

    @rule(step=st.integers(0, 600))
    def wait(self, step: int) -> None:
        self.now += step * MS
        for session in self.sessions.values():
            due = session.next_timeout_ns
            events = session.tick(self.now)
            assert not events or (due is not None and due <= self.now)
            if session.next_timeout_ns is not None:
                assert session.next_timeout_ns > self.now

    def receive(self, role: Role, data: bytes) -> None:
        session = self.sessions[role]
        was = session.state
        try:
            events = session.receive(data, self.now)
        except ProtocolError:
            assert session.state is State.CLOSED
            assert was is not State.CLOSED
            return
        assert was is not State.CLOSED or events == []

    @invariant()
    def states_only_go_forward(self) -> None:
        for role, session in self.sessions.items():
            assert ORDER.index(session.state) >= ORDER.index(self.before[role])
            self.before[role] = session.state


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
