"""Pictures that devices show while somebody looks: who is asked, and what has come of it.

Used from the event loop; times are monotonic, in s. Of each stream the newest is kept, in memory,
of few devices, and forgotten when nobody has looked for a while.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import ProtocolError
from ..protocol import FrameMessage, decode
from ..protocol.pictures import PICTURE_BYTES_MAX, PicturePiece, PictureWithheld
from ..types import Packet, PacketKind
from .sets.desk import Budget

LEASE_S = 4.0
"""A device shows pictures for so long after it was asked."""
ASK_S = 1.5
"""And is asked again so often, while somebody looks."""
KEPT_S = 10.0
"""What was shown so long ago is old."""
DEVICES_MAX = 64
"""Looked at at once; of more those that were looked at last."""
STREAMS_MAX = 16
BYTES_MAX = 16 * 2**20
SIDE_PX_MAX = 1280
PER_S, BURST = 2.0, 3.0
"""Pictures of one stream that are taken; others are not listened to."""


@dataclass(frozen=True)
class Shown:
    """What a stream has shown last: a picture, or why there is none."""

    at_s: float
    packet: Packet | None = None
    withheld: str = ""


@dataclass
class _Looked:
    until_s: float = 0.0
    asked_s: float = -ASK_S
    streams: OrderedDict[str, Shown] = field(default_factory=OrderedDict)

    @property
    def bytes(self) -> int:
        return sum(len(one.packet.payload) for one in self.streams.values() if one.packet)


class LookedAt:
    """The devices at which somebody looks."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._devices: OrderedDict[str, _Looked] = OrderedDict()

    def look(self, device: str, now_s: float) -> bool:
        """Somebody looks now, and sees no frames: whether the device is to be asked for pictures.

        `LEASE_S` is what it is asked for.
        """
        self._forget(now_s)
        looked = self._devices.setdefault(device, _Looked())
        self._devices.move_to_end(device)
        while len(self._devices) > DEVICES_MAX:
            self._devices.popitem(last=False)
        if now_s - looked.asked_s < ASK_S:
            return False
        looked.asked_s, looked.until_s = now_s, now_s + LEASE_S
        return True

    def wanted(self, device: str, now_s: float) -> bool:
        """Whether a device has been asked, and may show pictures."""
        looked = self._devices.get(device)
        return looked is not None and now_s <= looked.until_s

    def put(self, device: str, stream: str, shown: Shown) -> None:
        """What a device shows; nothing is kept of one that was not asked."""
        if not self.wanted(device, shown.at_s):
            return
        streams = self._devices[device].streams
        streams[stream] = shown
        streams.move_to_end(stream)
        while len(streams) > STREAMS_MAX:
            streams.popitem(last=False)
        while self.bytes_kept > self._bytes_max and len(self._devices) > 1:
            self._devices.popitem(last=False)

    def newest(self, device: str, now_s: float) -> Shown | None:
        """What a device has shown last."""
        looked = self._devices.get(device)
        shown = [] if looked is None else list(looked.streams.values())
        return shown[-1] if shown and now_s - shown[-1].at_s <= KEPT_S else None

    @property
    def bytes_kept(self) -> int:
        """Memory of all pictures."""
        return sum(looked.bytes for looked in self._devices.values())

    def _forget(self, now_s: float) -> None:
        for device, looked in list(self._devices.items()):
            if now_s - looked.until_s > KEPT_S and now_s - looked.asked_s > KEPT_S:
                del self._devices[device]


class PictureDesk:
    """Puts the pictures of one session together; what makes no sense is passed over.

    `budget` is the memory of the session's messages.
    """

    def __init__(self, looked: LookedAt, device: str, stream: str, budget: Budget) -> None:
        self._looked = looked
        self._device = device
        self._stream = stream
        self._budget = budget
        self._number = -1
        self._size = 0  # of the picture whose pieces are taken; 0: none
        self._buffer = bytearray()
        self._room, self._room_s = BURST, 0.0

    def take(self, piece: PicturePiece, now_s: float) -> None:
        """A piece has come."""
        if piece.offset == 0:
            self.drop()
            fits = len(piece.data) <= piece.size <= PICTURE_BYTES_MAX
            if not (fits and self._allowed(now_s) and self._budget.take(piece.size)):
                return
            self._number, self._size = piece.number, piece.size
        elif not self._size or piece.number != self._number:
            return
        wrong = piece.size != self._size or piece.offset != len(self._buffer)
        if wrong or piece.offset + len(piece.data) > self._size or not piece.data:
            self.drop()
            return
        self._buffer += piece.data
        if len(self._buffer) == self._size:
            body = bytes(self._buffer)
            self.drop()
            packet = packet_of(body, self._stream)
            if packet is not None:
                self._looked.put(self._device, self._stream, Shown(now_s, packet))

    def withheld(self, message: PictureWithheld, now_s: float) -> None:
        """The device says why it shows nothing."""
        self._looked.put(self._device, self._stream, Shown(now_s, withheld=message.text))

    def drop(self) -> None:
        """Give up what is not whole."""
        if self._size:
            self._budget.give(self._size)
        self._size, self._buffer = 0, bytearray()

    def _allowed(self, now_s: float) -> bool:
        """Whether one more picture is listened to now."""
        if not self._looked.wanted(self._device, now_s):
            return False
        passed_s, self._room_s = max(0.0, now_s - self._room_s), now_s
        self._room = min(BURST, self._room + passed_s * PER_S)
        if self._room < 1.0:
            return False
        self._room -= 1.0
        return True


def packet_of(body: bytes, stream: str) -> Packet | None:
    """The picture in the body of a device; None where it is none that stands alone."""
    try:
        said = decode(body, PICTURE_BYTES_MAX)
        packet = said.to_packet() if isinstance(said, FrameMessage) else None
    except (ProtocolError, ValueError):
        return None
    if packet is None or packet.key.stream != stream or packet.kind is not PacketKind.KEY:
        return None
    small = max(packet.width_px, packet.height_px) <= SIDE_PX_MAX
    return packet if small and packet.late else None


Ask = Callable[[str, int], None]
"""Asks a device's sessions for pictures, for so many ms."""
