"""Makes the pictures in docs/images: an inspected board, and a run whose link is cut.

    python -m bench.images [--only board|cut] [--out docs/images]

The board is drawn by the package, inspected by the gateway's model as shipped, and annotated as
`mastra run --pictures` does. The cut is `mastra run` itself with `--plot`; it takes half a minute,
and should have the machine for itself.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

import bench.pinned  # noqa: F401
from mastra_ros.camera.drawn.board import draw_board
from mastra_ros.inference import Detector, load_bundle
from mastra_ros.pipeline.overlay import VERDICTS, draw_boxes, with_captions
from mastra_ros.types import Frame, FrameKey

ROOT = Path(__file__).resolve().parents[1]
BOARD_SEED, BOARD_SIZE_PX, DEFECTS = 44, (960, 480), 7
"""A board on which every kind of defect occurs."""

RUN_S, CUT = 30, "down@10s..20s"


def draw_inspected(path: Path) -> None:
    """Draw a board, find its defects, and write the annotated picture as PNG."""
    board = draw_board(np.random.default_rng(BOARD_SEED), *BOARD_SIZE_PX, DEFECTS)
    detector = Detector.open(load_bundle("models/board_defects"), "cloud")
    found = detector.detect(Frame(FrameKey("board", 1), board.image, "mono8"))
    detector.close()
    canvas = np.asarray(cv2.cvtColor(board.image, cv2.COLOR_GRAY2BGR), np.uint8)
    draw_boxes(canvas, found)
    text = f"board 1: reject, {len(found)} defects"
    canvas = with_captions(canvas, [(text, VERDICTS["reject"])])
    coded, data = cv2.imencode(".png", canvas, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if not coded:
        raise RuntimeError("the picture cannot be encoded as PNG")
    path.write_bytes(data.tobytes())


def run_with_cut(path: Path) -> None:
    """Run the inspection while its link is cut, and have it draw itself."""
    command = [sys.executable, "-m", "mastra_ros.cli.main", "run", "factory_inspection", "--quiet"]
    command += ["--duration", str(RUN_S), "--fault", CUT, "--plot", str(path)]
    subprocess.run(command, check=True, cwd=ROOT)


MAKERS = {"board": draw_inspected, "cut": run_with_cut}


def main() -> int:
    """Make the pictures and say how large they are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=MAKERS, help="this one alone")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images", help="folder")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, make in MAKERS.items():
        if options.only in (None, name):
            path = options.out.resolve() / f"{name}.png"
            make(path)
            print(f"{path}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
