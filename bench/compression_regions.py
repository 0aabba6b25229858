"""Whether more quality where the detector has found something pays: regions of interest.

    python -m bench.compression_regions [--scenes cars,crossing] [--frames 240]

Needs MASTRA_DATA. x264 as `auto` begins with, at three qualities: as it is; with the boxes of the
frame LAG before, widened, finer by STEPS of the quantiser; with all else coarser by as many; and
with all else blurred before it is encoded. The boxes are those that YOLOX-nano finds on raw frames,
which is more than a device's small model knows. Compared are bytes at equal distance of all scores
of YOLOX-nano from those on raw frames, in the mean and about objects that have newly come in, whose
place no box has told. Printed as a table for docs/compression.md; takes a minute a scene.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.compression_asked import Asked
from bench.compression_scenes import SCORE_MIN, Picture
from bench.curves import ratio_over
from mastra_ros.compression.codecs import CODECS, open_decoder
from mastra_ros.compression.codecs.encoding import PyavEncoder
from mastra_ros.inference.engines.reporting import load_onnxruntime

CODEC = "x264-veryfast"
QUALITIES = (40, 55, 70)
STEP = 6
"""Every so many frames are looked at."""
LAG = 3
"""Frames until an answer can steer the encoder: 240 ms of the cars, 100 ms of the crossing."""
STEPS, WIDER = 6.0, 0.25
NEW_FRAMES = 12
"""What was found nowhere near its place so many frames before is new."""
NETWORK_PX = 416

Boxes = NDArray[np.float32]


class Scores:
    """YOLOX-nano's scores of all places and classes, and its boxes above SCORE_MIN."""

    def __init__(self, data: Path) -> None:
        onnxruntime = load_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = str(data / "models/yolox_nano.onnx")
        self._session = onnxruntime.InferenceSession(path, options)
        self._grid = _grid()

    def of(self, image: Picture) -> tuple[NDArray[np.float32], Boxes]:
        """(places, classes), and boxes (n, 4), px; overlapping ones are not thinned out."""
        height, width = image.shape[:2]
        scale = min(NETWORK_PX / height, NETWORK_PX / width)
        given = np.full((NETWORK_PX, NETWORK_PX, 3), 114, np.uint8)
        size = (int(width * scale), int(height * scale))
        given[: size[1], : size[0]] = cv2.resize(image, size)
        feed = given.transpose(2, 0, 1)[None].astype(np.float32)
        name = self._session.get_inputs()[0].name
        (found,) = self._session.run(None, {name: feed})
        rows = np.asarray(found, np.float32)[0]
        scores = rows[:, 4:5] * rows[:, 5:]
        seen = scores.max(axis=1) > SCORE_MIN
        centre = (rows[seen, :2] + self._grid[seen, :2]) * self._grid[seen, 2:]
        half = np.exp(rows[seen, 2:4]) * self._grid[seen, 2:] / 2
        return scores, np.hstack((centre - half, centre + half)) / scale


def _grid() -> NDArray[np.float32]:
    """Of each place: column, row, px of its cell."""
    parts = []
    for stride in (8, 16, 32):
        side = NETWORK_PX // stride
        y, x = np.mgrid[:side, :side]
        cells = (x.ravel(), y.ravel(), np.full(side * side, stride))
        parts.append(np.stack(cells, axis=1).astype(np.float32))
    return np.concatenate(parts)


@dataclass
class Regions:
    """In the place of the encoder's `Strain`: regions of interest by FFmpeg's `addroi`."""

    inside: float  # steps of the quantiser; below 0 is finer
    outside: float
    boxes: list[tuple[int, int, int, int]] = field(default_factory=list)

    def on(self, frame: Any, offset: float) -> Any:
        """The frame with its regions; of those that overlap the first counts."""
        from av.filter import Graph

        graph = Graph()
        last = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        given = [(box, offset + self.inside / 51) for box in self.boxes]
        given.append(((0, 0, frame.width, frame.height), offset + self.outside / 51))
        for (left, top, width, height), strain in given:
            region = f"x={left}:y={top}:w={width}:h={height}:qoffset={strain:.4f}"
            interest = graph.add("addroi", region)
            last.link_to(interest)
            last = interest
        last.link_to(graph.add("buffersink"))
        graph.configure()
        graph.push(frame)
        told = graph.pull()
        told.pts, told.time_base = frame.pts, frame.time_base
        return told


def widened(boxes: Boxes, shape: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """Left, top, width and height of boxes that are wider by WIDER of their sides, inside."""
    height, width = shape[:2]
    made = []
    for left, top, right, bottom in boxes:
        more_x, more_y = WIDER * (right - left), WIDER * (bottom - top)
        begin = (max(0, int(left - more_x)), max(0, int(top - more_y)))
        end = (min(width, int(right + more_x)), min(height, int(bottom + more_y)))
        if end[0] - begin[0] > 1 and end[1] - begin[1] > 1:
            made.append((*begin, end[0] - begin[0], end[1] - begin[1]))
    return made


def blurred(image: Picture, boxes: Sequence[tuple[int, int, int, int]]) -> Picture:
    """All but the boxes without its finest detail."""
    soft = np.asarray(cv2.GaussianBlur(image, (5, 5), 0), np.uint8)
    for left, top, width, height in boxes:
        part = slice(top, top + height), slice(left, left + width)
        soft[part] = image[part]
    return soft


WAYS: dict[str, tuple[float, float, bool]] = {
    "as it is": (0.0, 0.0, False),
    "boxes finer": (-STEPS, 0.0, False),
    "all else coarser": (0.0, STEPS, False),
    "all else blurred": (0.0, 0.0, True),
}
"""Steps inside and outside of boxes, and whether what is outside is blurred."""


def coded(
    way: str, frames: Sequence[Picture], found: Sequence[Boxes], quality: int
) -> Iterator[tuple[int, Picture]]:
    """Bytes and decoded picture of each frame."""
    inside, outside, blur = WAYS[way]
    regions = Regions(inside, outside)
    encoder: Any = PyavEncoder(CODECS[CODEC])
    if inside or outside:
        encoder._strain = regions
    decoder = open_decoder(CODECS[CODEC].format, "bgr8", frames[0].shape[1], frames[0].shape[0])
    for number, frame in enumerate(frames):
        known = found[number - LAG] if number >= LAG else found[0][:0]
        regions.boxes = widened(known, frame.shape)
        given = blurred(frame, regions.boxes) if blur else frame
        made = encoder.encode(given, "bgr8", key=number == 0, quality=quality)
        yield len(made.data), decoder.decode(made.data)


def new_places(found: Sequence[Boxes], number: int) -> list[tuple[int, int, int, int]]:
    """Where something is in a frame that was not near there NEW_FRAMES before."""
    before = found[max(0, number - NEW_FRAMES)]
    fresh = [
        box for box in found[number] if not any(_overlap(box, old) for old in before)
    ]  # fmt: skip
    return widened(np.array(fresh, np.float32).reshape(-1, 4), (1 << 15, 1 << 15))


def _overlap(one: Boxes, other: Boxes) -> bool:
    begin, end = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    return bool((end > begin).all())


def measured(scene: str, frames: Sequence[Picture], judge: Scores) -> list[str]:
    """A row a way: its bytes of those without regions, at equal distance of scores."""
    raw = [judge.of(frame) for frame in frames]
    found = [boxes for _, boxes in raw]
    looked = range(0, len(frames), STEP)
    fresh = {n: _mask(new_places(found, n), frames[n].shape) for n in looked}
    points: dict[str, list[tuple[float, float, float]]] = {}
    for way in WAYS:
        for quality in QUALITIES:
            sizes, all_over, where_new = [], [], []
            for number, (size, seen) in enumerate(coded(way, frames, found, quality)):
                sizes.append(size)
                if number not in fresh:
                    continue
                off = np.abs(judge.of(seen)[0] - raw[number][0]).sum(axis=1)
                all_over.append(float(off.sum()))
                where_new.append(float(off[fresh[number]].sum()))
            points.setdefault(way, []).append(
                (float(np.mean(sizes)), float(np.mean(all_over)), float(np.mean(where_new)))
            )
    rows = []
    for way, three in points.items():
        ratios = [_ratio(three, points["as it is"], which) for which in (1, 2)]
        told = " | ".join(f"{p[0]:,.0f} ({p[1]:.2f}, {p[2]:.2f})" for p in three)
        rows.append(f"| {scene} | {way} | {told} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    return rows


def _mask(places: Sequence[tuple[int, int, int, int]], shape: Sequence[int]) -> NDArray[np.bool_]:
    """Of the network's places, those in a region of the picture."""
    scale = min(NETWORK_PX / shape[0], NETWORK_PX / shape[1])
    grid = _grid()
    x, y = ((grid[:, axis] + 0.5) * grid[:, 2] / scale for axis in (0, 1))
    inside = np.zeros(len(grid), np.bool_)
    for left, top, width, height in places:
        inside |= (x >= left) & (x < left + width) & (y >= top) & (y < top + height)
    return inside


def _ratio(ours: Sequence[Any], other: Sequence[Any], which: int) -> float:
    """Bytes over those of the other at equal distance, over all distances that both reach."""
    one, two = ([(p[0], -float(np.log(p[which] + 1e-6))) for p in side] for side in (ours, other))
    values = [value for _, value in (*one, *two)]
    return ratio_over(one, two, np.linspace(min(values), max(values), 201).tolist())


def main() -> int:
    """Print the table."""
    asked = Asked(__doc__ or "", "cars,crossing", 240)
    told = " | ".join(f"quality {quality}" for quality in QUALITIES)
    print(f"| scene | bytes a frame (distance: all, new) | {told} | of the bytes | where new |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    judge = Scores(asked.data)
    for scene, frames in asked.scenes():
        print("\n".join(measured(scene, frames, judge)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
