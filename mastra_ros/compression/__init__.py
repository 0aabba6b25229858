"""Pictures into packets and back: key frames, and changed regions over a picture already there.

`Encoder` runs on the device, `Decoder` in the gateway, one of each per stream. A delta refers only
to a picture whose arrival the gateway has acknowledged, and names it so that another picture under
the same stamp is not taken for it: a lost reference leads to a key frame, never to a wrong picture.
"""

from __future__ import annotations

from .decoder import Decoder
from .encoder import Encoder

__all__ = ["Decoder", "Encoder"]
