"""Whole runs on pictures as people have them: cut short, or of 12 bits in 16."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mastra_ros.camera import Line, LineOptions

Start = Callable[..., Any]


def test_a_video_cut_in_half_ends_with_a_status_and_one_clear_line(
    start: Start, tmp_path: Path
) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed")
    path = tmp_path / "half:1.mkv"
    rng = np.random.default_rng(1)
    with av.open(f"file:{path}", "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(40):
            image = rng.integers(0, 256, (64, 96, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    run = start("--gateway", "none", "--rate", "0", "--source", f"file:{path}")
    assert run.wait() == 1, run.output
    report = run.report()
    assert report["missing"] == 0
    assert 0 < report["results"] + report["superseded"] < 40
    (line,) = [text for text in run.output.splitlines() if text.startswith("mastra: ")]
    assert "half:1.mkv: the video is cut short: expected 2.00 s, got " in line
    assert "Traceback" not in run.output


def test_pictures_of_12_bits_are_inspected_like_any_other(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    line = Line(LineOptions(seed=1, defect_rate=1.0, encoding="mono8", rate_hz=5.0))
    for n in range(3):
        deep = line.image(6 + 10 * n).astype(np.uint32) * 4095 // 255
        cv2.imwrite(str(folder / f"{n}.png"), deep.astype(np.uint16))
    line.close()
    run = start(
        *("--source", f"folder:{folder}", "--rate", "2", "--set", "camera.bit_depth=12"),
        *("--set", "scheduling.policy=fixed", "--set", "scheduling.route=cloud"),
        *("--set", "scheduling.deadline_ms=20000.0", "--set", "pipeline.trigger=frame"),
    )
    report = run.finish()
    assert report["verdicts"]["reject"] == 3
    assert report["by_origin"].get("cloud", 0) > 0
    assert "set bit_depth" not in run.output
