"""A device in a process of its own that tells frames of a set: to be killed, and started again.

    python -m bench.set_teller GATEWAY KEYS FOLDER COUNT DEVICE

As record_teller.py does: started again, it tells the last ones once more.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np

from bench.teller import STREAM, open_teller
from mastra_ros.compression import Encoder
from mastra_ros.config import CompressionConfig
from mastra_ros.privacy import hiding_nothing
from mastra_ros.sets import SetFrame
from mastra_ros.types import Frame, FrameKey

GATE = hiding_nothing("drawn pictures; nobody is on them")
SET = "sweep"
SIDE_PX = 96
"""Of a frame of noise: about 9 kB as PNG."""
AGAIN = 200
PAUSE_S = 0.002


def tell(gateway: str, keys: str, folder: str, count: int, device: str) -> None:
    """Tell them and the end of the set, and stay until killed."""
    client, said = open_teller(gateway, keys, folder, device)
    client.start()
    encoder = Encoder(CompressionConfig(codec="png"), STREAM)
    told = len(said.read_bytes()) if said.exists() else 0
    with said.open("ab", buffering=0) as log:
        for number in range(max(0, told - AGAIN), count):
            noise = np.random.default_rng(number).integers(0, 256, (SIDE_PX, SIDE_PX), np.uint8)
            frame = Frame(FrameKey(STREAM, number + 1), noise, "mono8")
            packet = encoder.encode(GATE.clear(frame), late=True)
            packet = replace(packet, meta={"pose": [float(number)] * 16, "sequence": number})
            client.send_set_frame(SetFrame(SET, number, packet))
            if number >= told:
                log.write(b".")
            time.sleep(PAUSE_S)
    client.send_set_frame(SetFrame(SET, count))
    while True:
        time.sleep(60.0)


def main() -> int:
    """Tell what the command line asks for."""
    gateway, keys, folder, count, device = sys.argv[1:]
    tell(gateway, keys, folder, int(count), device)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
