"""What coding does to the verdicts on the boards of the synthetic line, frame by frame.

    python -m bench.verdicts [--frames 600] [--seed 1] [--qualities 45,60,75]

The gateway's network (one view) sees the frames of the demo's line as they are, and as video of
each quality brings them; the inspection makes verdicts of what it finds, which are held against
what was drawn. The device's network sees the frames as they are. About 25 s a row on one core.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mastra_ros.camera import Line, open_source, parse_uri
from mastra_ros.camera.synthetic import line_options
from mastra_ros.compression import Decoder
from mastra_ros.compression.codecs import open_encoder
from mastra_ros.compression.video import VideoChain
from mastra_ros.config import CameraConfig, FactoryConfig
from mastra_ros.inference import Detector, load_bundle
from mastra_ros.pipeline.factory.inspection import FactoryInspection, Verdict
from mastra_ros.types import Frame, FrameKey, Result, Route

BUNDLE = Path(__file__).resolve().parents[1] / "models/board_defects"
CODEC = "x264-veryfast"
RATE_HZ = 10.0


def frames_of(config: CameraConfig, count: int) -> list[NDArray[np.uint8]]:
    """The pictures of the line."""
    source = open_source(config)
    frames = [np.asarray(source.read(timeout_s=5.0).image, np.uint8) for _ in range(count)]
    source.close()
    return frames


def coded(images: list[NDArray[np.uint8]], quality: int) -> Iterator[tuple[Frame, int]]:
    """The frames as the gateway has them, and the bytes of each."""
    chain = VideoChain(open_encoder(CODEC), tile_px=32, change_threshold=8.0)
    decoder = Decoder()
    for frame in raw(images):
        packet = chain.encode(frame, quality)
        yield decoder.decode(packet), len(packet.payload)


def raw(images: list[NDArray[np.uint8]]) -> Iterator[Frame]:
    """The frames as the camera gave them."""
    for number, image in enumerate(images, 1):
        encoding = "mono8" if image.ndim == 2 else "bgr8"
        yield Frame(FrameKey("main", round(number * 1e9 / RATE_HZ)), image, encoding)


def judged(
    images: list[NDArray[np.uint8]],
    seen: Iterator[tuple[Frame, int]],
    detector: Detector,
    defective: Callable[[int], bool],
) -> str:
    """Verdicts of the inspection, held against what was drawn, in a line."""
    inspection = FactoryInspection(FactoryConfig())
    verdicts: list[Verdict] = []
    sizes, found, last = [], None, None
    for frame, (decoded, size) in zip(raw(images), seen, strict=True):
        if found is None or last is None or not np.array_equal(decoded.image, last):
            found, last = detector.detect(decoded), decoded.image
        sizes.append(size)
        verdicts += inspection.on_frame(frame)
        verdicts += inspection.on_result(Result(frame.key, Route.CLOUD, found))
    verdicts += inspection.finish()
    counts = Counter(
        f"{'defective' if defective(v.board) else 'good'} {v.verdict}" for v in verdicts
    )
    told = ", ".join(f"{what} {count}" for what, count in sorted(counts.items()))
    return f"{np.mean(sizes):7.0f} bytes a frame; {told}"


def main() -> int:
    """Print a row for each way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--qualities", default="45,60,75")
    options = parser.parse_args()
    source = f"synthetic:pcb?seed={options.seed}&width=640&height=640"
    config = CameraConfig(source=source, rate_hz=RATE_HZ)
    images = frames_of(config, options.frames)
    line = Line(line_options(parse_uri(source), config))
    bundle = load_bundle(str(BUNDLE)).in_one_view()
    here, there = (Detector.open(bundle, part) for part in ("local", "cloud"))

    def show(name: str, seen: Iterator[tuple[Frame, int]], detector: Detector) -> None:
        told = judged(images, seen, detector, lambda board: bool(line.board_truth(board)))
        print(f"{name:32} {told}", flush=True)

    show("device, as they are", ((frame, 0) for frame in raw(images)), here)
    show("gateway, as they are", ((frame, 0) for frame in raw(images)), there)
    for quality in (int(one) for one in options.qualities.split(",")):
        show(f"gateway, quality {quality}", coded(images, quality), there)
    line.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
