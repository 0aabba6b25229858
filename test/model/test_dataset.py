"""Labelled pictures are found and checked before any work begins."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.tiny_classifier import LABELS
from mastra_ros.errors import DataError
from mastra_ros.model.dataset import open_dataset

KINDS = ("dent", "scratch")


@pytest.fixture
def boards(tmp_path: Path) -> Path:
    """Five gray pictures with a box each."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for i in range(5):
        cv2.imwrite(str(tmp_path / "images" / f"{i}.png"), np.full((20, 30), i, np.uint8))
        (tmp_path / "labels" / f"{i}.txt").write_text(f"1 2 11 12 {i % 2 + 1}\n")
    return tmp_path


def test_boxes_are_read_and_their_classes_count_from_one(boards: Path) -> None:
    data = open_dataset(boards, "detection", KINDS)
    assert len(data) == 5
    assert data.samples[1].boxes.tolist() == [[1, 2, 11, 12]]
    assert data.samples[1].classes.tolist() == [1]
    assert data.frame(3).encoding == "mono8"
    assert int(data.frame(3).image[0, 0]) == 3


def test_folders_are_classes(pictures: Path) -> None:
    data = open_dataset(pictures, "classification", LABELS)
    assert len(data) == 24
    assert data.frame(0).encoding == "bgr8"
    assert {int(sample.classes[0]) for sample in data.samples} == {0, 1, 2}
    some = data.some(6)
    assert len(some) == 6
    assert [s.path for s in some.samples] == [s.path for s in data.some(6).samples]


def test_annotations_in_the_form_of_coco_are_read(boards: Path) -> None:
    (boards / "annotations.json").write_text(
        json.dumps(
            {
                "categories": [{"id": 7, "name": "scratch"}],
                "images": [{"id": 1, "file_name": "2.png"}],
                "annotations": [{"image_id": 1, "category_id": 7, "bbox": [1, 2, 10, 5]}],
            }
        )
    )
    data = open_dataset(boards, "detection", KINDS)
    assert len(data) == 1
    assert data.samples[0].boxes.tolist() == [[1, 2, 11, 7]]
    assert data.samples[0].classes.tolist() == [1]
    with pytest.raises(DataError, match="scratch"):
        open_dataset(boards, "detection", ("dent",))


def test_a_list_chooses_among_the_pictures(boards: Path) -> None:
    names = boards / "val.txt"
    names.write_text("1\n3\n")
    assert len(open_dataset(boards, "detection", KINDS, names=names)) == 2
    names.write_text("99\n")
    with pytest.raises(DataError, match="none of the 5"):
        open_dataset(boards, "detection", KINDS, names=names)
    with pytest.raises(DataError, match="cannot be read"):
        open_dataset(boards, "detection", KINDS, names=boards / "missing.txt")


def test_a_list_may_come_from_any_tool_and_hold_spaces(boards: Path) -> None:
    for folder, suffix in (("images", ".png"), ("labels", ".txt")):
        (boards / folder / f"1{suffix}").rename(boards / folder / f"board 1{suffix}")
    names = boards / "val.txt"
    for text in (
        "board 1\n3\n",
        "\ufeffboard 1.png\r\n3.png\r\n",
        "./images/board 1.png\n\nD:\\data\\images\\3.png\n",
        "board 1\n3 0\n",
    ):
        names.write_text(text, encoding="utf-8")
        data = open_dataset(boards, "detection", KINDS, names=names)
        assert {"board 1.png", "3.png"} <= {sample.path.name for sample in data.samples}
        assert len(data) == 2 + ("3 0" in text)
        assert not data.notes


def test_names_that_are_not_there_are_counted_or_too_many(boards: Path) -> None:
    for i in range(5, 20):
        cv2.imwrite(str(boards / "images" / f"{i}.png"), np.full((20, 30), i, np.uint8))
        (boards / "labels" / f"{i}.txt").write_text("1 2 11 12 1\n")
    names = boards / "val.txt"
    names.write_text("\n".join(map(str, range(22))))
    data = open_dataset(boards, "detection", KINDS, names=names)
    assert len(data) == 20
    assert data.notes == ("2 names in val.txt are none of the labelled pictures, 20 for one",)
    names.write_text("\n".join(map(str, range(24))))
    with pytest.raises(DataError, match="4 names are none of the 20 labelled pictures, 20 for one"):
        open_dataset(boards, "detection", KINDS, names=names)


def test_an_empty_or_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no labelled pictures"):
        open_dataset(tmp_path, "detection", KINDS)
    with pytest.raises(DataError, match="no labelled pictures"):
        open_dataset(tmp_path, "classification", KINDS)
    with pytest.raises(DataError, match="expected a folder"):
        open_dataset(tmp_path / "missing", "detection", KINDS)


def test_a_folder_half_unreadable_is_refused_with_an_example(boards: Path) -> None:
    for i in range(3):
        (boards / "images" / f"{i}.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"3 of 5 pictures cannot be read, .*0\.png"):
        open_dataset(boards, "detection", KINDS)


def test_one_bad_picture_among_many_is_left_out_and_told(
    pictures: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (pictures / "red" / "0.png").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert len(open_dataset(pictures, "classification", LABELS)) == 23
    assert "1 pictures cannot be read" in caplog.text


def test_labels_that_the_model_does_not_know_are_named(pictures: Path, boards: Path) -> None:
    with pytest.raises(DataError, match="folders red are no labels"):
        open_dataset(pictures, "classification", ("blue", "green"))
    with pytest.raises(DataError, match="class 2 is none of the model's 1 to 1"):
        open_dataset(boards, "detection", ("dent",))
    (boards / "labels" / "0.txt").write_text("1 2 3\n")
    with pytest.raises(DataError, match="x1 y1 x2 y2 class"):
        open_dataset(boards, "detection", KINDS)
