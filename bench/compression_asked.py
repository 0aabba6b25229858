"""What the smaller benchmarks of compression are asked for: some scenes, and how much of each."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import cv2

from bench.compression_scenes import SCENES, Picture, frames_of


class Asked:
    """Scenes and frames by the command line. Ends the program where MASTRA_DATA is not there."""

    def __init__(self, what: str, scenes: str, frames: int) -> None:
        """what: in a line. scenes, frames: those without arguments."""
        parser = argparse.ArgumentParser(description=what.splitlines()[0])
        parser.add_argument("--scenes", default=scenes, help="names with commas")
        parser.add_argument("--frames", type=int, default=frames, help="of each, at most")
        options = parser.parse_args()
        self.data = Path(os.environ.get("MASTRA_DATA", ""))
        if not (self.data / "videos").is_dir():
            parser.error("set MASTRA_DATA to the folder of data sets")
        cv2.setNumThreads(1)
        self._names, self._frames = options.scenes.split(","), options.frames

    def scenes(self) -> Iterator[tuple[str, list[Picture]]]:
        """Name and frames of each."""
        for scene in SCENES:
            if scene.name in self._names:
                yield scene.name, frames_of(scene, self.data)[: self._frames]
