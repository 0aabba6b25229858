"""Ours beside plain codecs by a smooth count of what F counts, which chance moves less.

    python -m bench.compression_scores [--scenes cars,bottles,crossing] [--frames 400]

Needs MASTRA_DATA. F counts what crosses a score of SCORE_MIN: a thing that stands still, and is
just seen or not, moves it for a hundred frames. Here each of YOLOX-nano's places counts by how far
its best score has gone over that threshold, by a logistic curve of WIDTH, instead of at once: the
distance from the raw frame, summed up over the places, of every STEPth frame as it is and mirrored.
Ours is x264 and VP9 as `auto` uses them (fine keys, finer frames now and then); the plain ones have
a key frame each 60 frames. Printed are bytes, distance, and bytes of each over those of x264 as
ours at equal distance; a minute and a half a scene.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.compression_asked import Asked
from bench.compression_codecs import KEY_EVERY, Coder, Video
from bench.compression_regions import Scores
from bench.compression_scenes import SCORE_MIN, Picture
from bench.curves import ratio_over
from mastra_ros.compression.codecs import CODECS, open_decoder, open_encoder
from mastra_ros.compression.streams import FINE_MORE

STEP, WIDTH = 6, 0.04

Point = tuple[float, float]


class AsOurs:
    """An encoder as `StreamEncoder` drives it on a link with room."""

    def __init__(self, name: str, quality: int, shape: Sequence[int]) -> None:
        self._spec, self._quality = CODECS[name], quality
        self._encoder = open_encoder(name)
        self._decoder = open_decoder(self._spec.format, "bgr8", shape[1], shape[0])
        self._since = 0

    def encode(self, image: Picture) -> tuple[bytes, int]:
        """See Coder."""
        key, finer = not self._since, self._since >= self._spec.fine_every
        self._since = 1 if key or finer else self._since + 1
        quality = self._quality + (FINE_MORE if finer else 0)
        return self._encoder.encode(image, "bgr8", key=key, quality=quality).data, 0

    def decode(self, data: bytes) -> Picture:
        """See Coder."""
        return self._decoder.decode(data)

    def rest(self) -> None:
        """See Coder."""


def ways(shape: Sequence[int]) -> Iterator[tuple[str, list[Callable[[], Coder]]]]:
    """Each curve, and what makes the coder of each of its points."""
    for name in ("x264-veryfast", "vp9-8-natural"):
        makers = [_ours(name, quality, shape) for quality in (45, 60, 75)]
        yield f"{CODECS[name].family} as ours", makers
    low = {"tune": "zerolatency"}
    fast = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "b": "0"}
    plain = (
        ("VP9 realtime 8", "libvpx-vp9", fast, (45, 35, 24)),
        ("x264 veryfast", "libx264", {**low, "preset": "veryfast"}, (34, 28, 23)),
        ("x264 ultrafast", "libx264", {**low, "preset": "ultrafast"}, (33, 28, 23)),
    )
    for name, encoder, options, levels in plain:
        yield name, [_plain(encoder, {**options, "crf": str(n)}, shape) for n in levels]


def _ours(name: str, quality: int, shape: Sequence[int]) -> Callable[[], Coder]:
    return lambda: AsOurs(name, quality, shape)


def _plain(name: str, options: dict[str, str], shape: Sequence[int]) -> Callable[[], Coder]:
    return lambda: Video(name, options, shape, KEY_EVERY)


def smooth(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of each place, how far its best score is over the threshold, 0 to 1."""
    best = scores.max(axis=1).astype(np.float64)
    return np.asarray(1.0 / (1.0 + np.exp((SCORE_MIN - best) / WIDTH)))


def looked_at(judge: Scores, image: Picture) -> NDArray[np.float64]:
    """As it is, and mirrored."""
    mirrored = np.asarray(cv2.flip(image, 1), np.uint8)
    return np.concatenate([smooth(judge.of(one)[0]) for one in (image, mirrored)])


def point(coder: Coder, frames: Sequence[Picture], raw: Sequence[Any], judge: Scores) -> Point:
    """Bytes a frame, and the distance from the raw frames."""
    sizes, off = [], []
    for number, image in enumerate(frames):
        data, _ = coder.encode(image)
        sizes.append(len(data))
        decoded = coder.decode(data)
        if number % STEP == 0:
            off.append(float(np.abs(looked_at(judge, decoded) - raw[number // STEP]).sum()))
    return float(np.mean(sizes)), float(np.mean(off))


def ratio(other: Sequence[Point], ours: Sequence[Point]) -> float:
    """Bytes of the other over ours at equal distance, over all that both reach."""
    one, two = ([(size, -float(np.log(off))) for size, off in side] for side in (other, ours))
    values = [value for _, value in (*one, *two)]
    return ratio_over(one, two, np.linspace(min(values), max(values), 201).tolist())


def with_shares(frames: Sequence[Picture], judge: Scores) -> Iterator[str]:
    """A row a curve."""
    raw = [looked_at(judge, image) for image in frames[::STEP]]
    ours: list[Point] = []
    for name, makers in ways(frames[0].shape):
        points = [point(make(), frames, raw, judge) for make in makers]
        ours = ours or points
        told = " | ".join(f"{size:,.0f} ({off:.2f})" for size, off in points)
        yield f"{name} | {told} | {ratio(points, ours):.2f} |"


def main() -> int:
    """Print the table."""
    asked = Asked(__doc__ or "", "cars,bottles,crossing", 400)
    judge = Scores(asked.data)
    print("| scene | curve | bytes a frame (distance) | | | of x264 as ours |")
    print("| --- | --- | --- | --- | --- | --- |")
    for scene, frames in asked.scenes():
        for row in with_shares(frames, judge):
            print(f"| {scene} | {row}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
