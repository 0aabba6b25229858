"""Key frames as ours are made on a narrow link, beside x264's intra refresh: ages, bytes, pictures.

    python -m bench.compression_refresh [--scenes cars,crossing] [--frames 240]

Needs MASTRA_DATA; a minute. A link of LINK_SHARE times what the frames take in the mean, first in
first out, and a break each BREAK_EVERY frames after which the gateway has no picture. Ours asks for
a key then, which is made coarse where it would not arrive by the deadline, as are the frames behind
it. Intra refresh (`intra-refresh=1`, a round each 60 and each 15 frames) sends no key: columns of
each picture are coded anew, so a gateway that begins in the middle has a whole picture when the
columns have gone round once. Until then its picture is part old, and counts as none here. A table
for docs/why.md is printed.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from bench.compression_asked import Asked
from bench.compression_codecs import GATE
from bench.compression_scenes import Picture
from mastra_ros.compression import Decoder, StreamEncoder
from mastra_ros.compression.chooser import at_once
from mastra_ros.compression.codecs import CODECS, open_decoder
from mastra_ros.compression.codecs.encoding import PyavEncoder
from mastra_ros.config import CompressionConfig, build
from mastra_ros.types import Frame, FrameKey

QUALITY, CODEC = 60, "x264-superfast"
RATE_HZ, DEADLINE_MS = 12.5, 150.0
LINK_SHARE = 2.0
BREAK_EVERY = 80
ROUNDS = (60, 15)


@dataclass
class Seen:
    """What came over: bytes and age of each packet, likeness of whole pictures, and how many
    frames had none: left out by the device, late, or part old."""

    sizes: list[int] = field(default_factory=list)
    ages_ms: list[float] = field(default_factory=list)
    psnr_db: list[float] = field(default_factory=list)
    left_out: int = 0
    part_old: int = 0

    def row(self, name: str) -> str:
        """Of the table; the first packet is a key for all, and left out of the largest."""
        late = sum(age > DEADLINE_MS for age in self.ages_ms)
        p50, p99 = (np.percentile(self.ages_ms, share) for share in (50, 99))
        none = self.part_old + self.left_out
        size = f"{np.mean(self.sizes):,.0f} | {max(self.sizes[1:]):,}"
        age = f"{p50:.0f} / {p99:.0f} | {late}"
        return f"| {name} | {size} | {age} | {none} | {np.mean(self.psnr_db):.1f} |"


class Link:
    """First in, first out."""

    def __init__(self, rate_bps: float) -> None:
        self.rate_bps = rate_bps
        self._free_s = 0.0

    def carry(self, size: int, now_s: float) -> float:
        """Age at arrival, ms."""
        self._free_s = max(self._free_s, now_s) + 8.0 * size / self.rate_bps
        return 1e3 * (self._free_s - now_s)


def ours(frames: Sequence[Picture], rate_bps: float) -> Seen:
    """Keys when the gateway has lost its picture, coarse where the link is narrow."""
    config = build(CompressionConfig, {"codec": "x264", "quality": QUALITY})
    encoder = StreamEncoder(config, run=at_once)
    decoder, link, seen = Decoder(), Link(rate_bps), Seen()
    for number, image in enumerate(frames):
        now_s = number / RATE_HZ
        encoder.follow(
            session=number // BREAK_EVERY,
            codecs=("h264", "scaled"),
            acknowledged=(0, ""),
            key_frame_needed=False,
            key_frames_asked=0,
            goodput_bps=rate_bps,
        )
        if not encoder.fit(DEADLINE_MS, now_s):
            seen.left_out += 1
            continue
        packet = encoder.encode(GATE.clear(Frame(FrameKey("main", number + 1), image)))
        seen.sizes.append(len(packet.payload))
        seen.ages_ms.append(link.carry(len(packet.payload), now_s))
        seen.psnr_db.append(cv2.PSNR(decoder.decode(packet).image, image))
    return seen


def refreshed(frames: Sequence[Picture], rate_bps: float, every: int) -> Seen:
    """Columns of each picture anew; 0: never, and a plain key after a break."""
    spec = CODECS[CODEC]
    if every:
        asked = f"{spec.options['x264-params']}:intra-refresh=1".replace(
            "keyint=infinite", f"keyint={every}"
        )
        spec = dataclasses.replace(spec, options={**spec.options, "x264-params": asked})
    encoder = PyavEncoder(spec)
    height, width = frames[0].shape[:2]
    decoder = open_decoder("h264", "bgr8", width, height)
    link, seen = Link(rate_bps), Seen()
    for number, image in enumerate(frames):
        since = number % BREAK_EVERY
        key = number == 0 or (not every and since == 0)
        made = encoder.encode(image, "bgr8", key=key, quality=QUALITY)
        seen.sizes.append(len(made.data))
        seen.ages_ms.append(link.carry(len(made.data), number / RATE_HZ))
        shown = decoder.decode(made.data)  # as one that has seen all would show it
        if number >= BREAK_EVERY and since < every:
            seen.part_old += 1
        else:
            seen.psnr_db.append(cv2.PSNR(shown, image))
    return seen


def main() -> int:
    """Print the table."""
    asked = Asked(__doc__ or "", "cars,crossing", 240)
    print("| scene, way | bytes | largest | age, ms, p50 / p99 | late | no picture | PSNR, dB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for scene, frames in asked.scenes():
        plain = refreshed(frames, 1e9, 0)
        rate_bps = LINK_SHARE * 8.0 * RATE_HZ * float(np.mean(plain.sizes))
        name = f"{scene}, {rate_bps / 1e3:.0f} kbit/s"
        print(ours(frames, rate_bps).row(f"{name}: ours"), flush=True)
        print(refreshed(frames, rate_bps, 0).row(f"{name}: keys as they come"), flush=True)
        for every in ROUNDS:
            row = refreshed(frames, rate_bps, every).row(f"{name}: refreshed each {every}")
            print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
