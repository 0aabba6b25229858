"""`mastra privacy check`: what of the labels would be hidden, and what it would look like."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mastra_ros.cli import main as cli
from mastra_ros.privacy import Region
from mastra_ros.privacy.check import Check, hidden_share, is_hidden

IMAGE = np.zeros((100, 200, 3), np.uint8)


def test_the_hidden_share_of_a_label_counts_overlapping_masks_once() -> None:
    label = Region(0, 0, 40, 40, "face")
    half = Region(0, 0, 20, 40, "face")
    assert hidden_share(label, [half, half]) == pytest.approx(0.5)
    assert hidden_share(label, []) == 0
    assert hidden_share(label, [Region(-5, -5, 50, 50, "plate")]) == 1


def test_a_plate_needs_more_of_it_hidden_than_a_face() -> None:
    mask = [Region(0, 0, 34, 40, "head")]
    assert is_hidden(Region(0, 0, 40, 40, "face"), mask)
    assert not is_hidden(Region(0, 0, 40, 40, "plate"), mask)


def test_labels_are_counted_by_kind_and_width_and_the_missed_are_named() -> None:
    check = Check()
    labels = [Region(0, 0, 13, 13, "face"), Region(50, 50, 70, 30, "plate")]
    missed = check.add(IMAGE, labels, [Region(0, 0, 20, 20, "face")])
    assert missed == labels[1:]
    assert [(r.kind, r.from_px, r.count, r.hidden) for r in check.rows()] == [
        ("face", 12, 1, 1),
        ("plate", 64, 1, 0),
    ]
    assert check.share_median == pytest.approx(400 / 20_000)


@pytest.fixture(scope="module")
def labelled(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photographs of cars at a fifth of a megapixel, with their plates as labels."""
    folder = tmp_path_factory.mktemp("labelled")
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for name in ("eu1", "eu10"):
        path = data_folder / "plates" / "eu" / f"{name}.jpg"
        _, x, y, w, h, *_ = path.with_suffix(".txt").read_text().split("\t")
        image = cv2.imread(str(path))
        assert image is not None
        by = 60 / int(w)
        image = cv2.resize(image, None, fx=by, fy=by, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / "images" / f"{name}.png"), image)
        corners = (int(x), int(y), int(x) + int(w), int(y) + int(h))
        row = " ".join(str(round(side * by)) for side in corners)
        (folder / "labels" / f"{name}.txt").write_text(f"{row} 1\n")
    return folder


def test_the_command_says_what_is_hidden_and_draws_it(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = tmp_path / "drawn"
    status = cli.main(
        [
            *("privacy", "check", str(labelled), "--labels", "plate", "--draw", str(drawn)),
            *("--finders", "plates_and_heads"),
        ]
    )
    out = capsys.readouterr().out
    assert status == 0
    assert "plate from 48 px: 2 of 2 hidden (1.000)" in out
    assert "2 pictures" in out
    for name in ("eu1", "eu10"):
        before = cv2.imread(str(labelled / "images" / f"{name}.png"))
        after = cv2.imread(str(drawn / f"{name}.png"))
        assert before is not None
        assert after is not None
        x1, y1, x2, y2, _ = map(int, (labelled / "labels" / f"{name}.txt").read_text().split())
        assert (before[y1:y2, x1:x2] != after[y1:y2, x1:x2]).mean() > 0.8


def test_a_place_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = cli.main(
        ["privacy", "check", str(tmp_path / "no.mp4"), "--finders", "plates_and_heads"]
    )
    assert status == 2
    assert "not found" in capsys.readouterr().err
