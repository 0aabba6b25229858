"""Pictures for somebody who looks at a device: small stills of what the gate has let out.

When one is due is decided here (`ViewPace`: pure, times are monotonic, in s). Who looks waits, and
live frames do not: while pictures go to the gateway as frames it shows those.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

from ..errors import CodecError
from ..pictures import eight_bits
from ..privacy import ClearedFrame
from ..types import Packet, PacketKind
from .payload import Payload, pack
from .stills import encode_still
from .tiles import Image

PERIOD_S = 0.5
"""No two pictures come closer."""
LEASE_MAX_S = 10.0
"""A wish lasts no longer than this, whatever it says."""
PLAIN_S = 0.25
"""A picture that is due waits so long for what was found in it; then it is shown without."""
LIVE_S = 1.0
"""After a live frame has left as a picture none is made for so long: the gateway has that."""
SIDE_PX_MAX = 640
VIEW_BYTES_MAX = 200_000
QUALITIES = (75, 60, 45, 30, 15)
"""Of JPEG, the first with which a picture has no more than `VIEW_BYTES_MAX`."""
TO_BGR = {"mono8": cv2.COLOR_GRAY2BGR, "rgb8": cv2.COLOR_RGB2BGR}

Draw = Callable[[Image, float], None]
"""Draws onto a picture uint8 (height, width, 3) BGR, which is so many times the frame's size."""


class ViewPace:
    """Whether somebody looks, and whether a picture is due."""

    def __init__(self) -> None:
        self._until_s = self._made_s = self._live_s = self._since_s = -math.inf

    def wish(self, lease_s: float, now_s: float) -> None:
        """Somebody looks for so long from now on; 0: nobody does any more."""
        if not math.isfinite(lease_s):
            return
        if not self.looked_at(now_s):
            self._since_s = now_s
        self._until_s = now_s + min(max(0.0, lease_s), LEASE_MAX_S)

    def sent_live(self, now_s: float) -> None:
        """A live frame has left as a picture."""
        self._live_s = now_s

    def looked_at(self, now_s: float) -> bool:
        """Whether somebody looks."""
        return now_s < self._until_s

    def due(self, now_s: float, *, plain: bool = False) -> bool:
        """Whether one is to be made now. plain: of a frame of which no result is known yet."""
        if not self.looked_at(now_s) or now_s - self._live_s < LIVE_S:
            return False
        due_s = max(self._made_s + PERIOD_S, self._since_s)
        return now_s >= due_s + (PLAIN_S if plain else 0.0)

    def made(self, now_s: float) -> None:
        """One is made now."""
        self._made_s = now_s


def encode_view(cleared: ClearedFrame, draw: Draw | None = None) -> Packet:
    """A late key frame of at most `SIDE_PX_MAX` px a side, with what `draw` draws on it.

    Raises CodecError where it cannot be encoded.
    """
    frame = eight_bits(cleared.frame)
    image: Image = frame.image
    scale = min(1.0, SIDE_PX_MAX / max(image.shape[:2]))
    if scale < 1.0:
        size = tuple(max(1, round(side * scale)) for side in (image.shape[1], image.shape[0]))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    if frame.encoding in TO_BGR:
        image = np.asarray(cv2.cvtColor(image, TO_BGR[frame.encoding]), np.uint8)
    elif image is frame.image:
        image = image.copy()
    if draw is not None:
        draw(image, scale)
    height_px, width_px = image.shape[:2]
    key = cleared.key
    for quality in QUALITIES:
        still = encode_still(image, "bgr8", "jpeg", quality)
        if len(still) <= VIEW_BYTES_MAX:
            payload, _ = pack(Payload("jpeg", "bgr8", width_px, height_px, key.stamp_ns, still))
            return Packet(
                *(key, PacketKind.KEY, payload, width_px, height_px, "bgr8"),
                late=True,
                clearance=cleared.clearance,
            )
    raise CodecError(f"expected at most {VIEW_BYTES_MAX} bytes, got {len(still)}")
