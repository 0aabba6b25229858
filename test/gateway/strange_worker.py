"""The real process of a model, in which some frames do what they may not do."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from mastra_ros.compression import Decoder
from mastra_ros.gateway import group_worker
from mastra_ros.inference.detector import Detector
from mastra_ros.types import Frame, Packet

decode, detect_batch = Decoder.decode, Detector.detect_batch


def strange_decode(decoder: Decoder, packet: Packet) -> Frame:
    """End the process at a frame of this id, as a flaw of a decoder does; or hang."""
    if packet.key.id == "fatal":
        os.kill(os.getpid(), signal.SIGSEGV)
    if packet.key.id == "endless":
        signal.pause()
    return decode(decoder, packet)


def strange_detect(detector: Detector, frames: Sequence[Any]) -> Any:
    """Fail, also where it is one of many, at a frame of this id."""
    if any(frame.key.id == "unlucky" for frame in frames):
        raise RuntimeError("the model does not like it")
    return detect_batch(detector, frames)


Decoder.decode = strange_decode  # type: ignore[method-assign]
Detector.detect_batch = strange_detect  # type: ignore[method-assign]

if __name__ == "__main__":
    sys.exit(group_worker.main())
