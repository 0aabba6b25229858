"""What coding costs is measured on the user's own pictures, and written into the bundle."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from bench.tiny_classifier import LABELS
from mastra_ros.cli import main as cli
from mastra_ros.compression import StreamEncoder
from mastra_ros.compression.codecs import FORMATS
from mastra_ros.config import CompressionConfig, build
from mastra_ros.inference import Bundle, Detector, load_bundle
from mastra_ros.inference.coding import qualities_of
from mastra_ros.model.dataset import open_dataset
from mastra_ros.model.judge.coding import Coding, Labelled, Point, code, entered
from mastra_ros.model.judge.score import accuracy
from mastra_ros.model.verify import read_document
from mastra_ros.model.writer import rewrite


@pytest.fixture
def faint(tmp_path: Path) -> Path:
    """Labelled pictures of 192x128 px whose colour is a fine texture, which coarse coding loses."""
    rng = np.random.default_rng(5)
    for label in LABELS:
        folder = tmp_path / "faint" / label
        folder.mkdir(parents=True)
        for i in range(4):
            image = rng.integers(60, 120, (128, 192, 3))
            image[::2, ::2, LABELS.index(label)] += 12
            cv2.imwrite(str(folder / f"{i}.png"), image.clip(0, 255).astype(np.uint8))
    return tmp_path / "faint"


def coding(*points: tuple[str, int, float, float], raw: float = 0.9) -> Coding:
    return Coding("top-1", 10, raw, tuple(Point(*point) for point in points), ())


def test_the_lowest_quality_is_the_one_above_which_none_loses_more() -> None:
    done = coding(
        ("x264", 25, 100.0, 0.895),  # by chance: the next one loses more
        ("x264", 45, 200.0, 0.85),
        ("x264", 65, 300.0, 0.892),
        ("x264", 85, 600.0, 0.91),
        ("vp9", 25, 90.0, 0.5),
        ("vp9", 85, 500.0, 0.88),
    )
    lowest = done.lowest(1.0)
    assert {codec: point.quality for codec, point in lowest.items()} == {"x264": 65}
    assert done.lowest(5.0)["vp9"].quality == 85


def test_accuracy_and_bytes_of_a_real_network_rise_with_quality(
    colours: Bundle, faint: Path
) -> None:
    dataset = open_dataset(faint, "classification", LABELS)
    detector = Detector.open(colours, "cloud")
    done = code(
        Labelled(dataset),
        detector.detect,
        lambda found: accuracy(found, dataset.samples),
        ("x264", "jpeg"),
        (5, 90),
        measure="top-1",
    )
    detector.close()
    for codec in ("x264", "jpeg"):
        low, high = done.of(codec)
        assert low.bytes_mean < 0.5 * high.bytes_mean
        assert low.accuracy <= high.accuracy <= done.raw_accuracy + 0.1
    assert done.raw_accuracy == 1.0


def test_the_verb_draws_tells_and_writes_what_a_quality_of_zero_then_uses(
    colours: Bundle, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told, plot = tmp_path / "coding.json", tmp_path / "coding.png"
    words = ["model", "evaluate", str(colours.path.parent), "--data", str(pictures)]
    words += ["--codec", "jpeg,h264_rkmpp", "--qualities", "30,90", "--lose", "2", "--write"]
    before = colours.path.read_text()
    assert cli.main([*words, "--json", str(told), "--plot", str(plot)]) == 0
    printed = capsys.readouterr().out
    assert "as they are: 1.0000" in printed
    assert "left out: h264_rkmpp" in printed
    assert plot.read_bytes().startswith(b"\x89PNG")
    document = json.loads(told.read_text())
    assert [point["quality"] for point in document["points"]] == [30, 90]
    quality = document["lowest"]["jpeg"]["quality"]
    assert qualities_of(load_bundle(str(colours.path.parent))) == {"jpeg": quality}
    assert colours.path.read_text() != before
    part = yaml.safe_load(colours.path.read_text())["parts"]["cloud"]
    assert part["measurements"]["quality_loses_points"] == 2.0


def test_a_video_without_labels_is_held_against_the_answers_to_its_raw_frames(
    colours: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 15, (192, 128))
    rng = np.random.default_rng(1)
    for number in range(6):
        image = np.full((128, 192, 3), 60, np.uint8)
        image[..., number // 2] += 90
        writer.write(image + rng.integers(0, 20, image.shape, dtype=np.uint8))
    writer.release()
    words = ["model", "evaluate", str(colours.path.parent), "--data", str(film), "--limit", "5"]
    assert cli.main([*words, "--codec", "x264,vp9", "--qualities", "80"]) == 0
    printed = capsys.readouterr().out
    assert "5 pictures" in printed
    assert "as they are: 1.0000" in printed
    assert printed.count(" *\n") == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--codec", "mpeg2"], "--codec: expected all, or some of"),
        (["--codec", "x264", "--qualities", "0,50"], "--qualities: expected 1 to 100"),
        (["--codec", "x264", "--lose", "-1"], "--lose: expected 0 to 100 points, got -1"),
        (["--qualities", "50"], "--qualities, --lose: go with --codec"),
        (["--write"], "--write: goes with --fit-threshold or --codec"),
    ],
)
def test_options_that_make_no_sense_are_one_line(
    colours: Bundle, pictures: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["model", "evaluate", str(colours.path.parent), "--data", str(pictures), *words]
    assert cli.main(given) != 0
    assert said in capsys.readouterr().err


def test_codecs_measured_before_stay_in_the_bundle(colours: Bundle) -> None:
    folder = colours.path.parent
    rewrite(colours, entered(read_document(folder), "cloud", coding(("vp9", 55, 1.0, 0.9)), 1.0))
    document = entered(read_document(folder), "cloud", coding(("x264", 45, 1.0, 0.9)), 1.0)
    bundle = rewrite(colours, document)
    assert qualities_of(bundle) == {"vp9": 55, "x264": 45}
    lost = entered(read_document(folder), "cloud", coding(("x264", 45, 1.0, 0.1)), 1.0)
    assert qualities_of(rewrite(bundle, lost)) == {"vp9": 55}


def test_what_cannot_be_a_quality_is_passed_over(colours: Bundle) -> None:
    folder = colours.path.parent
    document = read_document(folder)
    document["parts"]["cloud"]["measurements"] = {"quality": {"x264": 0, "vp9": "high", "av1": 7}}
    assert qualities_of(rewrite(colours, document)) == {"av1": 7}
    document["parts"]["cloud"]["measurements"] = {"quality": 60}
    assert qualities_of(rewrite(colours, document)) == {}


def test_a_measured_quality_is_used_only_where_none_is_asked_for() -> None:
    measured = {"x264": 33, "jpeg": 44}
    for asked, video, stills in ((0, "quality 33", "quality 44"), (70, "quality 70", "quality 70")):
        config = build(CompressionConfig, {"codec": "x264", "quality": asked})
        encoder = StreamEncoder(config, qualities=measured)
        assert encoder.in_force.endswith(stills)
        encoder.peer(FORMATS)
        assert encoder.in_force.endswith(video)
        encoder.close()
