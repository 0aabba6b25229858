"""The state machine of a session, for both ends: no sockets, and the clock is an argument.

Everything that decides whether a message is legal stands in this file, in `LEGAL`.

    device   START ──Hello──▶ GREETED ──Welcome──▶ OPEN ──Goodbye, silence, error──▶ CLOSED
    gateway  the same, with sending and receiving exchanged

The owner passes every binary message to `receive`, what it wants to say to `send`, and calls
`tick` at `next_timeout_ns`; it writes the bytes of `Send` events and of `send` in order. After
a ProtocolError the session is CLOSED: the owner may write `farewell(error)` and must hang up.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Any

from ..errors import ProtocolError
from .envelope import MESSAGE_BYTES_MAX, decode, encode
from .events import Event, Opened, Refused, Send, Silent
from .extensions import DOWN, UP, extension_of
from .link import LinkEstimate
from .messages import (
    PROBE_BYTES_MAX,
    VERSION,
    VERSION_MIN,
    Ack,
    FrameMessage,
    Goodbye,
    Heartbeat,
    HeartbeatAck,
    Hello,
    KeyFrameRequest,
    Message,
    Nack,
    PrivacyReport,
    Probe,
    ProbeAck,
    Renewal,
    ResultMessage,
    Settings,
    Welcome,
)

MS = 1_000_000

UNANSWERED_FACTOR = 20
"""A peer that talks may be so many times slower to answer than one that says nothing: on a slow
link a heartbeat waits behind a large frame."""

PROBED_BYTES_MAX = 33_554_432
"""Padding that the answers to probes may have in one session."""

INTERVAL_MIN_NS = 10 * MS
"""No device gets heartbeats more often than this."""


class Role(str, Enum):
    """Which end of the session this is."""

    DEVICE = "device"
    GATEWAY = "gateway"


class State(str, Enum):
    """How far the session has come."""

    START = "start"
    GREETED = "greeted"
    OPEN = "open"
    CLOSED = "closed"


_BOTH = (Heartbeat, HeartbeatAck, Goodbye)
LEGAL: Mapping[tuple[Role, State], tuple[type[Message], ...]] = {
    (Role.DEVICE, State.START): (Hello,),
    (Role.DEVICE, State.GREETED): (Goodbye,),
    (Role.DEVICE, State.OPEN): (
        *(FrameMessage, Probe, Renewal, PrivacyReport, *UP),
        *_BOTH,
    ),
    (Role.DEVICE, State.CLOSED): (),
    (Role.GATEWAY, State.START): (Goodbye,),
    (Role.GATEWAY, State.GREETED): (Welcome, Goodbye),
    (Role.GATEWAY, State.OPEN): (
        *(Ack, ResultMessage, Nack, KeyFrameRequest, Settings, ProbeAck, *DOWN),
        *_BOTH,
    ),
    (Role.GATEWAY, State.CLOSED): (),
}
"""What a role may say in each state. What it may hear is what the other role may say."""

_NEXT: Mapping[type[Message], State] = {
    Hello: State.GREETED,
    Welcome: State.OPEN,
    Goodbye: State.CLOSED,
}
_OF_A_STREAM = (FrameMessage, Ack, ResultMessage, Nack, KeyFrameRequest)


class Session:
    """One end of one session.

    device, stream: on the device whose it is; on the gateway `device` is the name proven by the
    token, and the stream is the one that Hello names. A device touches only its own stream: a
    frame of another one is refused with a nack, anything else of another one is an error.
    heartbeat_interval_ns: 0 sends none and only answers; on a gateway the device's Hello sets it.
    renews: on the device, whether its owner sends a `Renewal` before the token expires.
    privacy: on the device, whether its owner sends a `PrivacyReport` now and then.
    codecs: the bitstreams of video that this end makes (device) or decodes (gateway).
    extensions: what this end understands; once the session is open, what both ends do.
    silence_timeout_ns: the session is closed after so long without a word (also while greeting),
    and after `UNANSWERED_FACTOR` times as long with a heartbeat unanswered. Times are monotonic.
    """

    def __init__(
        self,
        role: Role | str,
        *,
        device: str,
        now_ns: int,
        stream: str = "",
        software: str = "",
        heartbeat_interval_ns: int = 0,
        silence_timeout_ns: int = 10_000 * MS,
        bytes_max: int = MESSAGE_BYTES_MAX,
        renews: bool = False,
        privacy: bool = False,
        codecs: tuple[str, ...] = (),
        extensions: Collection[str] = (),
    ) -> None:
        self.role = Role(role)
        self.state = State.START
        self.device = device
        self.stream = stream
        self.version = VERSION
        self.session = ""
        self.renews = renews  # once it is open: both ends renew the token
        self.privacy = privacy  # likewise: both ends know a PrivacyReport
        self.codecs = codecs
        self.peer_codecs: tuple[str, ...] = ()  # once it is open: those of the other end
        self.extensions: frozenset[str] = frozenset()
        self._offered = tuple(sorted(extensions))
        self.link = LinkEstimate(heartbeat_interval_ns or 100 * MS, silence_timeout_ns)
        self.last_heard_ns = now_ns
        self._peer = Role.GATEWAY if self.role is Role.DEVICE else Role.DEVICE
        self._software = software
        self._interval_ns = heartbeat_interval_ns
        self._silence_ns = silence_timeout_ns
        self._bytes_max = bytes_max
        self._probed_bytes = 0
        self._heartbeat_seq = 0
        self._next_heartbeat_ns = now_ns
        self._wrote_ns = now_ns
        # seq: when sent, and until when the answer is in time (None: counted as lost already)
        self._unanswered: dict[int, tuple[int, int | None]] = {}

    @property
    def heartbeat_interval_ns(self) -> int:
        """How often this end sends heartbeats, and on a gateway its device; 0 none."""
        return self._interval_ns

    # -- what the owner says ---------------------------------------------------------------

    def hello(self, now_ns: int) -> bytes:
        """Device: the first message."""
        interval_ms = min(self._interval_ns // MS, 600_000)
        return self.send(
            Hello(
                *(VERSION, self.device, self.stream, self._software, interval_ms),
                renews=self.renews,
                privacy=self.privacy,
                codecs=self.codecs,
                extensions=self._offered,
            ),
            now_ns,
        )

    def welcome(self, now_ns: int, settings: Mapping[str, Any] | None = None) -> bytes:
        """Gateway: the answer to Hello, opening the session under a new random name."""
        return self.send(
            Welcome(
                self.version,
                secrets.token_hex(8),
                dict(settings or {}),
                self._software,
                renews=self.renews,
                privacy=self.privacy,
                codecs=self.codecs,
                extensions=self._offered,
            ),
            now_ns,
        )

    def send(self, message: Message, now_ns: int) -> bytes:
        """The bytes of `message`; ProtocolError when it is not legal now or too large.

        Such an error is the owner's own: it changes nothing in the session.
        """
        self._check_legal(self.role, message)
        if isinstance(message, _OF_A_STREAM) and message.stream != self.stream:
            raise ProtocolError(
                f"{type(message).__name__}: expected stream {self.stream}, got {message.stream}"
            )
        extension = extension_of(message)
        if extension and extension not in self.extensions:
            raise ProtocolError(f"{type(message).__name__}: the other end knows no {extension}")
        data = encode(message, self._bytes_max)
        if isinstance(message, Welcome):
            self.session = message.session
        self._advance(message, now_ns)
        return data

    def send_result(self, data: bytes) -> bytes:
        """As `send`, of a `ResultMessage` of this stream as bytes, which are given back."""
        if ResultMessage not in LEGAL[self.role, self.state]:
            raise ProtocolError(f"ResultMessage: not in state {self.state.value}")
        if len(data) > self._bytes_max:
            raise ProtocolError(
                f"ResultMessage: expected at most {self._bytes_max} bytes, got {len(data)}"
            )
        return data

    def farewell(self, error: ProtocolError) -> bytes:
        """The Goodbye that tells the peer about `error`; the session is CLOSED afterwards."""
        self.state = State.CLOSED
        code = "version" if isinstance(error, _VersionError) else "protocol"
        return encode(Goodbye(code, str(error)[:1024]), max(self._bytes_max, 8192))

    # -- what the peer says ----------------------------------------------------------------

    def receive(self, data: bytes, now_ns: int) -> list[Event]:
        """Events that one binary message leads to; ProtocolError closes the session."""
        if self.state is State.CLOSED:
            return []  # what was under way when the session ended means nothing any more
        try:
            return self.hear(decode(data, self._bytes_max), now_ns)
        except ProtocolError:
            self.state = State.CLOSED
            raise

    def hear(self, message: Message | None, now_ns: int) -> list[Event]:
        """As `receive`, of a message that was decoded elsewhere; None is an unknown extension."""
        if self.state is State.CLOSED:
            return []
        if message is None:
            self.last_heard_ns = now_ns
            return []
        extension = extension_of(message)
        if extension and self.state is State.OPEN and extension not in self.extensions:
            self.last_heard_ns = now_ns
            return []
        try:
            self._check_legal(self._peer, message)
            events = self._heard(message, now_ns)
        except ProtocolError:
            self.state = State.CLOSED
            raise
        self.last_heard_ns = now_ns
        return events

    def _heard(self, message: Message, now_ns: int) -> list[Event]:
        if isinstance(message, Hello):
            self._check_hello(message)
        elif isinstance(message, Welcome):
            return self._welcomed(message, now_ns)
        elif isinstance(message, Heartbeat):
            answer = encode(HeartbeatAck(message.seq, message.sent_ns), self._bytes_max)
            return [Send(answer), message]
        elif isinstance(message, Probe):
            return [Send(self._probe_ack(message)), message]
        elif isinstance(message, HeartbeatAck):
            self._answered(message, now_ns)
        elif isinstance(message, _OF_A_STREAM) and message.stream != self.stream:
            if not isinstance(message, FrameMessage):
                raise ProtocolError(
                    f"{type(message).__name__}: expected stream {self.stream}, got {message.stream}"
                )
            text = f"stream {message.stream} is not the one of this session"
            nack = Nack(message.stream, message.stamp_ns, "forbidden", text, message.id)
            return [Send(encode(nack, self._bytes_max)), Refused(message, nack)]
        self._advance(message, now_ns)
        return [message]

    def _probe_ack(self, probe: Probe) -> bytes:
        self._probed_bytes += probe.answer_bytes
        wanted = probe.answer_bytes if self._probed_bytes <= PROBED_BYTES_MAX else 0
        answer = ProbeAck(probe.seq, len(probe.padding), bytes(wanted))
        return encode(answer, max(self._bytes_max, 2 * PROBE_BYTES_MAX))

    def _check_hello(self, hello: Hello) -> None:
        if hello.device != self.device:
            raise ProtocolError(f"Hello: the token is of {self.device}, not of {hello.device}")
        self.version = min(VERSION, hello.version)
        if self.version < VERSION_MIN:
            raise _VersionError(
                f"Hello: expected version {VERSION_MIN} to {VERSION}, got {hello.version}"
            )
        self.stream = hello.stream
        self.renews = hello.renews
        self.privacy = hello.privacy
        self.peer_codecs = hello.codecs
        self.extensions = frozenset(self._offered) & frozenset(hello.extensions)
        if hello.heartbeat_ms:
            self._interval_ns = max(hello.heartbeat_ms * MS, INTERVAL_MIN_NS)

    def _welcomed(self, welcome: Welcome, now_ns: int) -> list[Event]:
        if not VERSION_MIN <= welcome.version <= VERSION:
            raise _VersionError(
                f"Welcome: expected version {VERSION_MIN} to {VERSION}, got {welcome.version}"
            )
        self.version = welcome.version
        self.session = welcome.session
        self.renews = welcome.renews
        self.privacy = welcome.privacy
        self.peer_codecs = welcome.codecs
        self.extensions = frozenset(self._offered) & frozenset(welcome.extensions)
        self._advance(welcome, now_ns)
        settings = dict(welcome.settings)
        return [
            Opened(welcome.version, welcome.session, settings, welcome.software, welcome.codecs)
        ]

    def _answered(self, ack: HeartbeatAck, now_ns: int) -> None:
        if ack.seq >= self._heartbeat_seq:
            raise ProtocolError(f"HeartbeatAck: heartbeat {ack.seq} was never sent")
        sent_due = self._unanswered.pop(ack.seq, None)
        if sent_due is None:
            return  # answered before
        sent_ns, due_ns = sent_due
        self.link.measured(max(0, now_ns - sent_ns))
        if due_ns is not None:
            self.link.count(now_ns <= due_ns)

    def wrote(self, now_ns: int) -> None:
        """The socket has taken more bytes: heartbeats still wait their turn, and are not lost."""
        self._wrote_ns = now_ns

    # -- what the clock says ---------------------------------------------------------------

    @property
    def next_timeout_ns(self) -> int | None:
        """When `tick` wants to be called; None when nothing is due any more."""
        if self.state is State.CLOSED:
            return None
        silence_ns = self.last_heard_ns + self._silence_ns
        if self.state is State.OPEN and self._interval_ns:
            return min(silence_ns, self._next_heartbeat_ns)
        return silence_ns

    def tick(self, now_ns: int) -> list[Event]:
        """What is due now: `Send` of a heartbeat, or `Silent`, which closes the session."""
        if self.state is State.CLOSED:
            return []
        silence_ns = now_ns - self.last_heard_ns
        oldest_ns, _ = next(iter(self._unanswered.values()), (now_ns, None))
        unanswered_ns = now_ns - max(oldest_ns, min(self._wrote_ns, now_ns))
        if silence_ns >= self._silence_ns or unanswered_ns >= UNANSWERED_FACTOR * self._silence_ns:
            self.state = State.CLOSED
            return [Silent(max(silence_ns, unanswered_ns))]
        if self.state is not State.OPEN or not self._interval_ns:
            return []
        self._count_overdue(now_ns)
        if now_ns < self._next_heartbeat_ns:
            return []
        heartbeat = Heartbeat(self._heartbeat_seq, now_ns)
        self._unanswered[self._heartbeat_seq] = (now_ns, now_ns + self.link.rto_ns)
        self._heartbeat_seq += 1
        # Counted from now and not from when it was due: no burst after the process slept.
        self._next_heartbeat_ns = now_ns + self._interval_ns
        return [Send(encode(heartbeat, self._bytes_max))]

    def _count_overdue(self, now_ns: int) -> None:
        for seq, (sent_ns, due_ns) in self._unanswered.items():
            if due_ns is not None and now_ns > due_ns:
                self.link.count(False)
                self._unanswered[seq] = (sent_ns, None)  # a late answer still has a round trip

    # -- the table -------------------------------------------------------------------------

    def _check_legal(self, speaker: Role, message: Message) -> None:
        if type(message) not in LEGAL[speaker, self.state]:
            raise ProtocolError(
                f"{type(message).__name__}: a {speaker.value} may not say this in state "
                f"{self.state.value}"
            )

    def _advance(self, message: Message, now_ns: int) -> None:
        self.state = _NEXT.get(type(message), self.state)
        if isinstance(message, Welcome):
            self._next_heartbeat_ns = now_ns


class _VersionError(ProtocolError):
    """No version of the protocol is known to both ends."""
