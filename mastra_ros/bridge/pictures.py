"""Pictures on their way up while somebody looks at this device: the newest wins, live frames first.

`Showing` decides (pure; times are monotonic, in ns), `ShownPictures` is what the bridge is given,
over all sessions, and `PictureLane` the part of a session that sends. Nothing is kept: what is
not sent before the gateway's wish ends is forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator

from ..protocol import FrameMessage, Message, encode
from ..protocol.pictures import PICTURE_BYTES_MAX, PicturePiece, PictureWish, PictureWithheld
from ..types import Packet
from .clearing import SpoolGate
from .flight import SECOND
from .set_lane import piece_bytes

APART_NS = SECOND // 2
"""No two pictures are begun closer, however fast they are made."""
LEASE_NS_MAX = 10 * SECOND
"""A wish lasts no longer than this, whatever it says."""
WITHHELD_APART_NS = SECOND
"""Why there is none is told no more often."""
BESIDE_NS = SECOND
"""After a frame that is a picture itself nothing is shown for so long: the gateway shows that one,
and has asked for others only because it did not come before, as when the route changes."""
PAUSE_S = 0.05
TEXT_MAX = 256


class Showing:
    """What is to be sent in one session, and when."""

    def __init__(self) -> None:
        self._until_ns = 0
        self._begun_ns = self._told_ns = self._frame_ns = -LEASE_NS_MAX
        self._newest = b""
        self._withheld: str | None = None
        self._number = 0

    def wish(self, lease_ms: int, now_ns: int) -> None:
        """Pictures are wanted for so long from now on."""
        self._until_ns = now_ns + min(lease_ms * 1_000_000, LEASE_NS_MAX)

    def wanted(self, now_ns: int) -> bool:
        """Whether they are wanted; what waits is forgotten where they are not."""
        if now_ns < self._until_ns:
            return True
        self._newest, self._withheld = b"", None
        return False

    def frame_goes(self, now_ns: int) -> None:
        """A live frame goes up that the gateway can show."""
        self._frame_ns = now_ns
        self._newest = b""

    def beside_frames(self, now_ns: int) -> bool:
        """Whether frames go up, so that no picture need."""
        return now_ns - self._frame_ns < BESIDE_NS

    def put(self, body: bytes, now_ns: int) -> None:
        """A new picture; it takes the place of one that has not been begun."""
        if self.wanted(now_ns):
            self._newest, self._withheld = body, None

    def withhold(self, reason: str, now_ns: int) -> None:
        """There is none, and this is why."""
        if self.wanted(now_ns):
            self._newest, self._withheld = b"", reason

    def begin(self, now_ns: int) -> tuple[int, bytes] | None:
        """Number and bytes of the picture to be sent from now on, if one is due."""
        if not self.wanted(now_ns) or not self._newest or now_ns - self._begun_ns < APART_NS:
            return None
        if self.beside_frames(now_ns):
            return None
        body, self._newest = self._newest, b""
        self._begun_ns = now_ns
        self._number += 1
        return self._number, body

    def reason(self, now_ns: int) -> str | None:
        """Why there is none, if that is to be told now."""
        due = self.wanted(now_ns) and now_ns - self._told_ns >= WITHHELD_APART_NS
        if not due or self._withheld is None:
            return None
        reason, self._withheld = self._withheld, None
        self._told_ns = now_ns
        return reason


def pieces_of(number: int, body: bytes, goodput_bps: Callable[[], float]) -> Iterator[PicturePiece]:
    """The messages that carry a picture, each cut when it is asked for."""
    offset = 0
    while offset < len(body):
        data = body[offset : offset + piece_bytes(goodput_bps())]
        yield PicturePiece(number, offset, len(body), data)
        offset += len(data)


class ShownPictures:
    """The pictures of one device; on_look(lease_s) hears in the bridge's loop what is wished for.

    `send` and `withhold` may be called from any thread, and never block.
    """

    def __init__(self, on_look: Callable[[float], None]) -> None:
        self._on_look = on_look
        self._in_loop: Callable[..., bool] | None = None
        self._gate: SpoolGate | None = None
        self.showing = Showing()
        self._wake: Callable[[], None] = lambda: None

    def attach(self, in_loop: Callable[..., bool], gate: SpoolGate) -> None:
        """Whose they are; `gate` has the last look at each."""
        self._in_loop, self._gate = in_loop, gate

    def begin_session(self, wake: Callable[[], None]) -> None:
        """Another session, in which nobody looks yet; wake(): there may be something to send."""
        self.showing, self._wake = Showing(), wake

    def send(self, packet: Packet) -> None:
        """Show this, where the gateway wishes for pictures."""
        if self._in_loop is not None:
            self._in_loop(self._take, packet)

    def withhold(self, reason: str) -> None:
        """There is nothing to be shown, and this is why."""
        if self._in_loop is not None:
            self._in_loop(self._refuse, reason)

    def wish(self, message: PictureWish) -> None:
        """What the gateway has said."""
        self.showing.wish(message.lease_ms, time.monotonic_ns())
        # By way of the loop, so that a callback that raises is logged and harms nobody.
        asyncio.get_running_loop().call_soon(self._on_look, message.lease_ms / 1e3)

    def _take(self, packet: Packet) -> None:
        assert self._gate is not None
        if not self._gate.passes_live(packet):
            self._refuse(f"privacy: made under {packet.clearance or 'no clearance'!r}")
            return
        body = encode(FrameMessage.from_packet(packet), 2 * PICTURE_BYTES_MAX)
        if len(body) > PICTURE_BYTES_MAX:
            self._refuse(f"expected at most {PICTURE_BYTES_MAX} bytes, got {len(body)}")
            return
        self.showing.put(body, time.monotonic_ns())
        self._wake()

    def _refuse(self, reason: str) -> None:
        self.showing.withhold(reason[:TEXT_MAX], time.monotonic_ns())
        self._wake()


class PictureLane:
    """Sends what is shown in one session.

    send(message): queues it behind live packets. quiet(): whether the link has room beside them.
    """

    def __init__(
        self,
        shown: ShownPictures,
        *,
        send: Callable[[Message], None],
        quiet: Callable[[], bool],
        goodput_bps: Callable[[], float],
    ) -> None:
        self._shown = shown
        self._send = send
        self._quiet = quiet
        self._goodput_bps = goodput_bps
        self._wake = asyncio.Event()
        shown.begin_session(self.wake)

    def wake(self) -> None:
        """There may be something to send, or room for it."""
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        showing = self._shown.showing
        while True:
            self._wake.clear()
            now_ns = time.monotonic_ns()
            if (reason := showing.reason(now_ns)) is not None:
                self._send(PictureWithheld(reason))
            begun = showing.begin(now_ns) if self._quiet() else None
            if begun is not None:
                await self._send_pieces(*begun)
                continue
            await self._rest(PAUSE_S if showing.wanted(now_ns) else 1.0)

    async def _send_pieces(self, number: int, body: bytes) -> None:
        """All of a picture, unless nobody wants it any more, or frames go up instead."""
        for piece in pieces_of(number, body, self._goodput_bps):
            while not self._quiet():
                self._wake.clear()
                await self._rest(PAUSE_S)
            showing, now_ns = self._shown.showing, time.monotonic_ns()
            if not showing.wanted(now_ns) or showing.beside_frames(now_ns):
                return
            self._send(piece)

    async def _rest(self, longest_s: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(self._wake.wait(), longest_s)
