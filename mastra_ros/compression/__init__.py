"""Pictures and features into packets and back: key frames, changed regions, tensors at a cut.

`Encoder` runs on the device, `Decoder` in the gateway, one of each per stream. A delta refers only
to a picture whose arrival the gateway has acknowledged, and names it so that another picture under
the same stamp is not taken for it: a lost reference leads to a key frame, never to a wrong picture.
`FeatureEncoder` and `decode_features` carry what the head of a split model has made; each packet of
features stands for itself.
"""

from __future__ import annotations

from .decoder import Decoder
from .encoder import Encoder
from .features import FeatureEncoder, decode_features

__all__ = ["Decoder", "Encoder", "FeatureEncoder", "decode_features"]
