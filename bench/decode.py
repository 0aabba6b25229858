"""What it costs to take pictures as they are: parts of JPEGs found, 16 bits, encodings of drivers.

    python -m bench.decode [--repetitions 30]

Each of a pair of lines does the same work, in turn; medians in ms, 1920x1080.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from array import array
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from sensor_msgs.msg import Image

from mastra_ros.config.pictures import PictureConfig
from mastra_ros.nodes.convert import frame_from_ros
from mastra_ros.pictures import PictureReader, decode_still_file, eight_bits

HEIGHT, WIDTH = 1080, 1920
ENCODINGS = {"bgr8": 6, "nv12": 3, "nv24": 6, "yuyv": 4, "bayer_rggb8": 2, "bayer_rggb16": 4}
"""Bytes of two pixels."""


def jpeg(*options: int) -> bytes:
    """A picture of some structure and some noise."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (34, 60, 3), np.uint8)
    image = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    image = cv2.add(image, rng.integers(0, 12, image.shape, np.uint8))
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85, *options])[1].tobytes()


def message(encoding: str, bytes_of_two: int) -> Image:
    """An Image of noise."""
    size = WIDTH * HEIGHT * bytes_of_two // 2
    data = array("B", np.random.default_rng(2).integers(0, 256, size, np.uint8).tobytes())
    step = WIDTH if encoding.startswith("nv") else size // HEIGHT
    return Image(height=HEIGHT, width=WIDTH, encoding=encoding, step=step, data=data)


def work() -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    plain, progressive = jpeg(), jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    deep = np.random.default_rng(3).integers(0, 4096, (HEIGHT, WIDTH)).astype("<u2")
    ros = message("mono16", 4)
    ros.data = array("B", deep.tobytes())
    reader, full = PictureReader(PictureConfig(bit_depth=12)), PictureReader()
    frame = frame_from_ros(ros, "main", reader)
    jobs: dict[str, Callable[[], object]] = {
        "jpeg, OpenCV alone": lambda: cv2.imdecode(np.frombuffer(plain, np.uint8), 1),
        "jpeg, and whether it is whole": lambda: decode_still_file(plain),
        "progressive, OpenCV alone": lambda: cv2.imdecode(np.frombuffer(progressive, np.uint8), 1),
        "progressive, and whether it is whole": lambda: decode_still_file(progressive),
        "mono16 of 12 bits to a frame": lambda: frame_from_ros(ros, "main", reader),
        "its 8 bits": lambda: eight_bits(frame),
    }
    for encoding, bytes_of_two in ENCODINGS.items():
        image = message(encoding, bytes_of_two)
        jobs[f"{encoding} to a frame"] = partial(frame_from_ros, image, "main", full)
    return jobs


def main() -> int:
    """Time every job in turn, again and again, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=30)
    args = parser.parse_args()
    jobs = work()
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(args.repetitions):
        for name, job in jobs.items():
            began = time.perf_counter()
            job()
            times[name].append((time.perf_counter() - began) * 1e3)
    json.dump({n: round(statistics.median(t), 2) for n, t in times.items()}, sys.stdout, indent=1)
    print()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
