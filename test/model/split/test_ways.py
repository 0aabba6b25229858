"""What a split bundle is worth stands beside local, cloud and joint inference."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mastra_ros.cli.main import main
from mastra_ros.inference import load_bundle
from mastra_ros.model.dataset import Dataset, Sample
from mastra_ros.model.judge.evaluate import evaluate, ways_of


def labelled_by_the_whole(halved: Path, pictures: Path) -> Dataset:
    """The pictures with what the whole network finds on them as their labels."""
    bundle = load_bundle(str(halved))
    paths = sorted(pictures.glob("*.png"))
    no_boxes, no_classes = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    bare = tuple(Sample(path, no_boxes, no_classes) for path in paths)
    data = Dataset(pictures, "detection", bundle.labels, bare)
    whole = ways_of(bundle)["cloud"]
    found = [whole(data.frame(i)).detections for i in range(len(paths))]
    samples = [Sample(p, f.boxes, f.classes) for p, f in zip(paths, found, strict=True)]
    return Dataset(pictures, "detection", bundle.labels, tuple(samples))


def test_the_halves_answer_as_the_whole_and_pay_for_their_features(
    halved: Path, pictures: Path
) -> None:
    bundle, data = load_bundle(str(halved)), labelled_by_the_whole(halved, pictures)
    done = evaluate(bundle, data, ways_of(bundle))
    assert set(done.scores) == {"cloud", "split"}
    assert sum(len(sample.classes) for sample in data.samples) > 0
    assert done.scores["cloud"].accuracy == 1.0
    assert done.scores["split"].accuracy > 0.9
    assert bundle.split is not None
    assert 0 < done.scores["split"].bytes_up_mean <= np.prod(bundle.split.shape) + 100


def test_the_command_has_a_row_for_the_split_network(
    halved: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = labelled_by_the_whole(halved, pictures)
    (tmp_path / "boards" / "labels").mkdir(parents=True)
    (tmp_path / "boards" / "images").symlink_to(pictures)
    for sample in data.samples:
        rows = zip(sample.boxes.tolist(), sample.classes.tolist(), strict=True)
        lines = [" ".join(map(str, [*box, label + 1])) for box, label in rows]
        described = tmp_path / "boards" / "labels" / f"{sample.path.stem}.txt"
        described.write_text("\n".join(lines))
    out = tmp_path / "told.json"
    command = ["model", "evaluate", str(halved), "--data", str(tmp_path / "boards")]
    assert main([*command, "--json", str(out)]) == 0
    rows_shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in rows_shown if line.startswith(("cloud", "split"))] == [
        "cloud",
        "split",
    ]
    assert json.loads(out.read_text())["ways"]["split"]["bytes_up_mean"] > 0
