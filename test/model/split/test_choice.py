"""Where a network is cut: sameness of boxes, predicted latency, and the command that decides."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mastra_ros.cli.main import main
from mastra_ros.inference import load_bundle
from mastra_ros.model.split.cuts import profile
from mastra_ros.model.split.graph import load_graph
from mastra_ros.model.split.latency import Link, Option, Picture, best_cut, fastest, options
from mastra_ros.model.split.pictures import JpegPoint, equal_jpeg
from mastra_ros.model.split.same import same_boxes
from mastra_ros.types import Detections, Frame

pytest.importorskip("onnx", reason="onnx is not installed: nothing to cut with")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

CUTS = ["stem", "half", "sum", "deep"]


def detections(*boxes: tuple[float, ...], label: int = 0) -> Detections:
    n = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(n, 4),
        np.full(n, 0.9, np.float32),
        np.full(n, label, np.int32),
        ("a", "b"),
    )


def test_boxes_are_the_same_within_two_pixels_and_of_one_class() -> None:
    one = detections((10, 10, 20, 20), (40, 40, 50, 50))
    assert same_boxes([one], [one]) == 1.0
    assert same_boxes([detections((11, 10, 22, 20), (40, 40, 50, 50))], [one]) == 1.0
    assert same_boxes([detections((10, 10, 23, 20), (40, 40, 50, 50))], [one]) == 0.5
    assert same_boxes([detections((10, 10, 20, 20), label=1)], [one]) == 0.0
    assert same_boxes([detections((10, 10, 20, 20), (10, 10, 20, 20))], [one]) == 0.5
    assert same_boxes([Detections.empty()], [Detections.empty()]) == 1.0


PICTURE = Picture(400e3, 400e3, 40e3, 85, 1.0, 1.0)


@pytest.mark.parametrize(
    ("link", "winner"),
    [
        (Link(1e5, 400.0, 1.0), "local"),
        (Link(1e9, 1.0, 50.0), "cloud"),
        (Link(2e6, 1.0, 3.0), "half"),
    ],
    ids=["bad link", "slow device", "between"],
)
def test_the_fastest_way_depends_on_link_and_device(
    bundle: Path, frames: list[Frame], link: Link, winner: str
) -> None:
    whole = load_bundle(str(bundle))
    measured = profile(whole, "cloud", load_graph(whole.part("cloud").path), frames, levels=(256,))
    sizes = {"stem": 30e3, "half": 10e3, "sum": 20e3, "deep": 15e3}
    cuts = [
        replace(cut, head_ms=10.0 * i, tail_ms=100 - 10.0 * i, bytes_at={256: sizes[cut.name]})
        for i, cut in enumerate(measured.cuts, 1)
    ]
    ways = options(replace(measured, cuts=tuple(cuts), whole_ms=100.0), PICTURE, link)
    assert [way.name for way in ways] == ["cloud", *CUTS, "local"]
    assert fastest(ways).name == winner
    assert best_cut(ways).name in CUTS


def test_of_equally_fast_ways_the_one_that_sends_least_is_taken() -> None:
    ways = [Option("cloud", 1, 2, 3, 100), Option("a", 2, 2, 2, 50), Option("local", 6, 0, 0, 0)]
    assert fastest(ways).name == "local"
    assert best_cut(ways).name == "a"


def test_the_equal_jpeg_is_the_smallest_before_the_answers_change() -> None:
    curve = [JpegPoint(95, 90, 1.0), JpegPoint(80, 50, 0.99), JpegPoint(50, 20, 0.9)]
    curve.append(JpegPoint(10, 5, 1.0))  # by luck
    assert equal_jpeg(curve, 0.95) == curve[1]
    assert equal_jpeg(curve, 0.9) == curve[3]
    assert equal_jpeg(curve[1:], 1.0) is None


def test_the_command_writes_a_bundle_and_all_its_numbers(
    bundle: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, told = tmp_path / "out", tmp_path / "told.json"
    command = ["model", "split", str(bundle), "--data", str(pictures), "--json", str(told)]
    assert main([*command, "--out", str(out), "--at", "best"]) == 0
    shown = capsys.readouterr().out
    assert "4 single-tensor cuts, measured on 3 frames" in shown
    assert f"wrote {out}" in shown
    document = json.loads(told.read_text())
    split = load_bundle(str(out)).split
    assert split is not None
    assert document["chosen"] == split.cut
    assert [cut["name"] for cut in document["cuts"]] == CUTS
    assert document["measured"]["frames"] == 3
    assert main([*command, "--out", str(out), "--at", "deep"]) == 1
    assert "--replace" in capsys.readouterr().err
    assert main([*command, "--out", str(out), "--at", "deep", "--replace"]) == 0
    made = load_bundle(str(out)).split
    assert made is not None
    assert made.cut == "deep"


def test_without_a_better_cut_nothing_is_written(
    bundle: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["model", "split", str(bundle), "--data", str(pictures), "--out", str(out)]
    assert main([*command, "--rtt", "60s", "--uplink", "1kbit"]) == 0
    assert "no split: local is predicted to be faster" in capsys.readouterr().out
    assert not out.exists()


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        (["--uplink", "5"], "number with unit"),
        (["--uplink", "0mbit"], "expected more than 0"),
        (["--rtt", "40"], "number with unit"),
        (["--levels", "1"], "auto or 2 to 256"),
        (["--device-slowdown", "0"], "more than 0"),
        (["--at", "nowhere"], "no single-tensor cut of the network; these are: stem, half"),
        (["--frames", "0"], "at least 1"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    bundle: Path,
    pictures: Path,
    option: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["model", "split", str(bundle), "--data", str(pictures), *option]) != 0
    shown = capsys.readouterr().err
    assert complaint in shown.splitlines()[-1]


def test_latency_is_drawn_where_matplotlib_is_there(
    bundle: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: no plots")
    plot = tmp_path / "latency.png"
    command = ["model", "split", str(bundle), "--data", str(pictures), "--plot", str(plot)]
    assert main(command) == 0
    assert cv2.imread(str(plot)) is not None
    assert "no plot" not in capsys.readouterr().out
