"""Video codecs behind one interface: what each is, whether it opens here, encoders and decoders.

`CODECS` names the encoders; `opens` says whether one works on this machine; `open_encoder` and
`open_decoder` make the two ends. An encoder and a decoder are state machines: each packet rests on
the one before, back to a key frame. Who keeps the two in step stands in `compression.video`.
"""

from __future__ import annotations

from .interface import Coded, VideoDecoder, VideoEncoder
from .opening import (
    fault_of,
    open_decoder,
    open_encoder,
    opens,
    readable_formats,
    spends_ms,
    writable_formats,
)
from .registry import CODECS, FORMATS, FREE_FORMATS, CodecSpec

__all__ = [
    "CODECS",
    "FORMATS",
    "FREE_FORMATS",
    "CodecSpec",
    "Coded",
    "VideoDecoder",
    "VideoEncoder",
    "fault_of",
    "open_decoder",
    "open_encoder",
    "opens",
    "readable_formats",
    "spends_ms",
    "writable_formats",
]
