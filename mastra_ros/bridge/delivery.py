"""What becomes of each packet of one session: no sockets, and the clock is an argument.

A live packet is accepted or fails at once; it ends acknowledged, refused, overdue or lost. What
may yet be delivered goes to the spool; the arbiter hears of every failure when it happens.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..protocol import Ack, LinkEstimate, Nack, ResultMessage
from ..types import STILL_KINDS, FrameKey, Packet, PacketKind, Result
from .artefacts import Received
from .flight import Entry, Flight, Goodput
from .news import News
from .spool_thread import SpoolThread
from .video import VideoOrder

log = logging.getLogger(__name__)

SPOOLED_CODES = frozenset({"overloaded"})
"""Refusals of packets that may go well later."""


@dataclass
class Tally:
    """What is counted across sessions, and what the encoder must know of this one."""

    sessions: int = 0
    uploaded_bytes: int = 0
    delivered_late: int = 0
    last_heard_ns: int = 0
    acknowledged_ns: int = 0
    acknowledged_id: str = ""
    acknowledged_number: int = 0
    key_frame_needed: bool = False
    key_frames_asked: int = 0  # counts what asked for one: an answer to the last is enough
    codecs: tuple[str, ...] = ()  # bitstreams of video that the gateway decodes
    news: News = field(default_factory=News)  # of frames that are given up

    def begin_session(self) -> None:
        """Whoever is there now may know nothing of what came before."""
        self.sessions += 1
        self.acknowledged_ns = self.acknowledged_number = 0
        self.acknowledged_id = ""
        self.key_frame_needed = False
        self.codecs = ()


class Listener(Protocol):
    """Whom a session tells; no call may block or raise."""

    def result(self, result: Result) -> None:
        """A result came."""

    def failed(self, key: FrameKey, reason: str) -> None:
        """A live packet will not be answered in time."""

    def renew(self, key: FrameKey) -> None:
        """A frame that does not stand alone should be in the spool: it is wanted whole."""

    def settings(self, values: Mapping[str, Any]) -> None:
        """The gateway wants these parameters."""

    def record_refused(self, reason: str) -> None:
        """The gateway does not take a record, or takes none at all."""

    def artefact(self, received: Received) -> None:
        """An artefact has come whole."""

    def changed(self) -> None:
        """Something that the status shows has changed."""


class Delivery:
    """The packets of one session. `link` is told which were acknowledged in time."""

    def __init__(
        self,
        in_flight_max: int,
        link: LinkEstimate,
        spool: SpoolThread,
        tally: Tally,
        goodput: Goodput,
        listener: Listener,
    ) -> None:
        self.flight = Flight()
        self._in_flight_max = in_flight_max
        self._link = link
        self._spool = spool
        self._tally = tally
        self._goodput = goodput
        self._listener = listener
        self._video = VideoOrder()
        self._lost = ""  # why the session ended
        self._knows_ids: bool | None = None  # whether the gateway does; None: not heard yet

    # -- packets that come -----------------------------------------------------------------

    def accept(self, packet: Packet, now_ns: int, deadline_ms: float) -> Entry | None:
        """Take a live packet; None when it failed at once and is in the spool."""
        live = self.flight.live
        if self._lost:
            self._fail(packet, self._lost, spool=True)
        elif len(live) >= self._in_flight_max and packet.key not in live:
            self._fail(packet, f"{len(live)} frames are in flight already", spool=True)
        elif reason := self._video.not_known(packet, self._tally.codecs):
            self._fail(packet, reason, spool=True)
        elif reason := self._video.rests_on_nothing(packet):
            self._fail(packet, reason, spool=False)  # as where the gateway would say so
        else:
            if packet.stands_alone:
                self._tally.key_frame_needed = False
            entry = self.flight.add_live(packet, now_ns, deadline_ms)
            self._video.sent(packet, entry.number)
            return entry
        if not self._lost and self._video.turned_away(packet):
            self._ask(again=True)
        return None

    def accept_backlog(self, packet: Packet, now_ns: int) -> Entry | None:
        """Take a packet of the spool; None when it is under way already."""
        if self.flight.find(packet.key) is not None:
            return None
        return self.flight.add_backlog(packet, now_ns)

    # -- what keeps a packet from being sent -----------------------------------------------

    def too_late(self, entry: Entry) -> None:
        """Its deadline passed while it waited for the socket."""
        self.flight.remove(entry.packet.key)
        self.not_sent(entry)
        self._link.count(False)
        self._fail(entry.packet, "its deadline passed before the link took it", spool=True)

    def unsendable(self, entry: Entry, reason: str) -> None:
        """No message can carry it: too large."""
        self.flight.remove(entry.packet.key)
        self.not_sent(entry)
        if entry.packet.late:
            self._give_up(entry.packet.key, "too_large", reason)
        else:
            self._fail(entry.packet, reason, spool=False)

    def not_sent(self, entry: Entry) -> None:
        """It was withdrawn: what rests on it cannot be sent either."""
        if self._video.lost(entry.packet, entry.number):
            self._ask(again=entry.packet.stands_alone)

    # -- what the gateway says -------------------------------------------------------------

    def acknowledged(self, ack: Ack, now_ns: int) -> None:
        """The gateway has committed a packet."""
        key = self._whole(ack.key)
        entry, spooled = self.flight.remove(key)
        if entry is None:
            return
        idle = not (self.flight.live or self.flight.in_spool())
        self._goodput.acknowledged(entry.size, now_ns, idle, ack.held_us * 1000)
        if spooled:
            self._spool.acknowledge(key)
            self._tally.delivered_late += 1
        else:
            self._link.count(now_ns <= entry.deadline_ns)
            picture = entry.packet.kind is not PacketKind.FEATURES
            self._video.acknowledged(entry.packet)
            # A duplicate was committed before, and its picture may be forgotten.
            if picture and not ack.duplicate and entry.number > self._tally.acknowledged_number:
                self._tally.acknowledged_ns = key.stamp_ns
                self._tally.acknowledged_id = key.id
                self._tally.acknowledged_number = entry.number
        self._listener.changed()

    def answered(self, message: ResultMessage) -> Entry | None:
        """The gateway has a result; ProtocolError when its arrays do not fit.

        Returns the live packet that it answers, if it is one.
        """
        result = message.to_result()
        result = dataclasses.replace(result, key=self._whole(result.key))
        entry = self.flight.live.get(result.key)
        if entry is not None:
            entry.answered = True
        elif result.key in self.flight.in_spool():
            result = dataclasses.replace(result, late=True)
        self._listener.result(result)
        return entry

    def refused(self, nack: Nack) -> None:
        """The gateway does not take a packet."""
        key = self._whole(nack.key)
        entry, spooled = self.flight.remove(key)
        if entry is None:
            return
        reason = f"the gateway refused the frame: {nack.code} {nack.text}".rstrip()
        later = nack.code in SPOOLED_CODES
        if not spooled:
            self._fail(entry.packet, reason, spool=later)
            self._refused_video(entry, nack.code)
            if nack.code == "reference_missing" and entry.packet.kind in STILL_KINDS:
                if entry.packet.reference_ns >= self._tally.acknowledged_ns:
                    self._tally.acknowledged_ns = 0
                self.want_key_frame()
        elif entry.packet.kind not in STILL_KINDS:
            self._refused_video(entry, nack.code)  # the spool has a still of it, or will
        elif not later:
            self._give_up(key, nack.code, reason)
        self._listener.changed()

    def _refused_video(self, entry: Entry, code: str) -> None:
        packet = entry.packet
        if self._video.undecodable(packet, code):
            self._tally.codecs = tuple(c for c in self._tally.codecs if c != packet.codec)
        # A repeat changes no state; the gateway lacks what it rests on where it says so.
        missing = packet.kind is PacketKind.REPEAT and code == "reference_missing"
        if self._video.lost(packet, entry.number) or missing:
            self._ask(again=packet.stands_alone)

    def want_key_frame(self) -> None:
        """The gateway needs a key frame, if none is under way already."""
        live = self.flight.live.values()
        if not any(entry.packet.stands_alone for entry in live):
            self._ask()

    def _ask(self, *, again: bool = False) -> None:
        """Ask the encoder for a key frame; again: what answered the last time is lost."""
        if again or not self._tally.key_frame_needed:
            self._tally.key_frames_asked += 1
        self._tally.key_frame_needed = True
        self._listener.changed()

    def _whole(self, key: FrameKey) -> FrameKey:
        """The key of our packet that the gateway means; an older one knows no ids."""
        if key.id:
            self._knows_ids = True
        if self._knows_ids:
            return key
        whole = self.flight.named(key)
        if whole.id and self._knows_ids is None:
            self._knows_ids = False
            log.warning(
                "bridge: the gateway is of an older version: it knows frames by their stamps alone,"
                " and takes two under one stamp (of two recordings, too) for one"
            )
        return whole

    # -- what the clock and the link do ----------------------------------------------------

    def look_at_clock(self, now_ns: int) -> list[Entry]:
        """Spool the packets that are overdue by now, and return them."""
        self.flight.forget_unanswered(now_ns)
        entries = self.flight.make_overdue(now_ns)
        for entry in entries:
            self._link.count(False)
            self._spool_live(entry.packet)
        return entries

    def lose(self, reason: str) -> None:
        """The session has ended: all live packets fail and are spooled, as are later ones."""
        self._lost = self._lost or reason
        for entry in self.flight.lose():
            if not entry.answered:
                self._listener.failed(entry.packet.key, reason)
            self._spool_live(entry.packet)

    def _fail(self, packet: Packet, reason: str, *, spool: bool) -> None:
        self._listener.failed(packet.key, reason)
        if spool:
            self._spool_live(packet)

    def _spool_live(self, packet: Packet) -> None:
        """Keep it, where every version reads it; what does not stand alone is wanted whole."""
        if packet.kind in STILL_KINDS:
            self._spool.put(packet)
        if packet.kind not in (PacketKind.KEY, PacketKind.FEATURES):
            self._listener.renew(packet.key)

    def _give_up(self, key: FrameKey, code: str, reason: str) -> None:
        text = f"spooled frame {key.stamp_ns} ns is given up: {reason}"
        if line := self._tally.news.line(text, time.monotonic_ns()):
            log.warning("%s", line)
        self._spool.drop(key, code)
