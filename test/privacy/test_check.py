"""`mastra privacy check`: what of the labels would be hidden, and what it would look like."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from mastra_ros.cli import main as cli
from mastra_ros.config import PrivacyConfig
from mastra_ros.privacy import Region, open_gate
from mastra_ros.privacy.check import Check, hidden_share, is_hidden

from .conftest import frame_of

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


def _checked(*arguments: str) -> int:
    return cli.main(["privacy", "check", *arguments, "--finders", "plates_and_heads"])


def _car(data_folder: Path) -> np.ndarray:
    image = cv2.imread(str(data_folder / "plates" / "eu" / "eu1.jpg"))
    assert image is not None
    return cv2.resize(image, (320, 240), interpolation=cv2.INTER_AREA)


def test_every_frame_of_a_video_is_searched_and_drawn(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, drawn = tmp_path / "drive.mp4", tmp_path / "drawn"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"mp4v"), 10, (320, 240))
    for shift in range(5):
        writer.write(np.roll(_car(data_folder), 3 * shift, axis=1))
    writer.release()
    assert _checked(str(video), "--draw", str(drawn)) == 0
    assert "5 pictures" in capsys.readouterr().out
    assert sorted(path.name for path in drawn.iterdir()) == [f"{n:06d}.png" for n in range(5)]
    assert _checked(str(video), "--every", "2") == 0
    assert "3 pictures" in capsys.readouterr().out


def test_pictures_of_all_depths_are_searched_and_those_that_are_none_are_named(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, drawn = tmp_path / "street", tmp_path / "drawn"
    folder.mkdir()
    car = _car(data_folder)
    kinds = {
        "1_colours": car,
        "2_deep": car.astype(np.uint16) * 257,
        "3_gray": car[..., 1],
        "4_see_through": cv2.cvtColor(car, cv2.COLOR_BGR2BGRA),
        "5_speck": car[:5, :7],
    }
    for name, image in kinds.items():
        assert cv2.imwrite(str(folder / f"{name}.png"), image)
    (folder / "6_cut.png").write_bytes((folder / "1_colours.png").read_bytes()[:999])
    assert _checked(str(folder), "--draw", str(drawn)) == 0
    told = capsys.readouterr()
    assert "5 pictures" in told.out
    assert "1 pictures could not be read or searched" in told.out
    assert "6_cut.png" in told.err
    assert len(list(drawn.iterdir())) == 5
    for name in ("000000.png", "000001.png"):
        after = cv2.imread(str(drawn / name))
        assert after is not None
        assert after.dtype == np.uint8
        assert 0.001 < (after != car).any(2).mean() < 0.5  # what is hidden, and nothing else


def test_a_folder_of_which_nothing_can_be_read_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(b"none")
    assert _checked(str(tmp_path)) == 1
    assert "0 pictures" in capsys.readouterr().out


def test_pictures_are_not_drawn_over_themselves_and_those_of_one_name_not_over_each_other(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "street"
    shutil.copytree(labelled, folder)
    image = folder / "images" / "eu1.png"
    assert cv2.imwrite(str(image.with_suffix(".bmp")), cv2.imread(str(image)))  # type: ignore[arg-type]
    before = image.read_bytes()
    drawn = tmp_path / "drawn"
    for place in (folder / "images", folder):
        assert _checked(str(folder), "--labels", "plate", "--draw", str(place)) == 2
        assert "written over" in capsys.readouterr().err
    assert image.read_bytes() == before
    assert _checked(str(folder), "--labels", "plate", "--draw", str(drawn)) == 0
    assert {p.name for p in drawn.iterdir()} == {"eu1.png.png", "eu1.bmp.png", "eu10.png"}


def test_pictures_of_a_folder_have_nothing_to_do_with_each_other(labelled: Path) -> None:
    gate = open_gate(PrivacyConfig(finders=("plates_and_heads",), hold_frames=9), stills=True)
    image = cv2.imread(str(labelled / "images" / "eu1.png"))
    assert image is not None
    with_plate = gate.look(frame_of(np.asarray(image, np.uint8)), late=True)
    without = gate.look(frame_of(np.full_like(image, 90)), late=True)
    gate.close()
    assert with_plate
    assert not without
