"""Pictures and features into packets and back: key frames, changed regions, tensors at a cut.

`StreamEncoder` runs on the device, `Decoder` in the gateway, one of each per stream. Where both
have a codec for it, frames are video, each packet resting on the one before; else `Encoder` makes
stills and changed tiles of them, which refer only to what the gateway has acknowledged. Each names
what it rests on, by a check that no other picture under the same stamp has: a lost reference leads
to a key frame, never to a wrong picture.
`FeatureEncoder` and `decode_features` carry what the head of a split model has made; each packet of
features stands for itself.
"""

from __future__ import annotations

from .decoder import Decoder
from .encoder import Encoder
from .features import FeatureEncoder, decode_features
from .streams import StreamEncoder

__all__ = ["Decoder", "Encoder", "FeatureEncoder", "StreamEncoder", "decode_features"]
