"""`labels/NAME.txt` in DeepPCB's and in YOLO's form: the right value, or one line that names it."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mastra_ros.errors import DataError
from mastra_ros.model.dataset import open_dataset
from mastra_ros.model.description import task_of

WIDTH_PX, HEIGHT_PX = 80, 60


def yolo_line(x1: float, y1: float, x2: float, y2: float, label: int) -> str:
    centre = (x1 + x2) / 2 / WIDTH_PX, (y1 + y2) / 2 / HEIGHT_PX
    size = (x2 - x1) / WIDTH_PX, (y2 - y1) / HEIGHT_PX
    return " ".join([str(label), *(f"{value:.6f}" for value in (*centre, *size))])


def outline(x1: float, y1: float, x2: float, y2: float, label: int) -> str:
    """The same box as a diamond that touches its four sides."""
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    points = [(middle_x, y1), (x2, middle_y), (middle_x, y2), (x1, middle_y)]
    shares = [f"{x / WIDTH_PX:.6f} {y / HEIGHT_PX:.6f}" for x, y in points]
    return " ".join([str(label), *shares])


def deeppcb_line(x1: float, y1: float, x2: float, y2: float, label: int) -> str:
    return f"{x1} {y1} {x2} {y2} {label + 1}"


FORMS = {"YOLO": yolo_line, "outlines": outline, "DeepPCB": deeppcb_line}


def write(tray: Any, form: str = "YOLO", order: tuple[int, ...] = (0, 1, 2)) -> None:
    """Label files; class `k` of ours has the number `order[k]` in them."""
    (tray.root / "labels").mkdir()
    for name in tray.names:
        lines = [FORMS[form](*box, order[label]) for *box, label in tray.boxes[name]]
        path = tray.root / "labels" / f"{Path(name).stem}.txt"
        path.write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_means_the_same(tray: Any, form: str) -> None:
    write(tray, form)
    data = tray.opened()
    assert (len(data), data.boxes) == (4, 4)
    for sample in data.samples:
        wanted = np.array([box[:4] for box in tray.boxes[sample.path.name]]).reshape(-1, 4)
        np.testing.assert_allclose(sample.boxes, wanted, atol=1e-3)
    assert tray.f_score(data) == pytest.approx(tray.base_f)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16"])
def test_marks_line_ends_and_blank_lines_change_nothing(tray: Any, form: str, coding: str) -> None:
    write(tray, form)
    for path in (tray.root / "labels").iterdir():
        path.write_bytes(f"\n{path.read_text()} \n".replace("\n", "\r\n").encode(coding))
    assert tray.f_score() == pytest.approx(tray.base_f)


def test_capitals_in_suffixes_and_names_change_nothing(tray: Any) -> None:
    write(tray)
    (tray.root / "images/a.png").rename(tray.root / "images/A.PNG")
    (tray.root / "labels/b.txt").rename(tray.root / "labels/B.TXT")
    assert tray.f_score() == pytest.approx(tray.base_f)


def test_two_pictures_that_differ_in_case_keep_their_own_labels(tray: Any) -> None:
    write(tray)
    (tray.root / "images/A.png").write_bytes((tray.root / "images/a.png").read_bytes())
    (tray.root / "labels/A.txt").write_text(yolo_line(1, 1, 9, 9, 2) + "\n")
    found = {sample.path.name: sample.classes.tolist() for sample in tray.opened().samples}
    assert (found["A.png"], found["a.png"]) == ([2], [0, 1])


DESCRIPTIONS = {
    "data.yaml": "names: [pin_hole, dent, scratch]\nnc: 3\n",
    "data.yml": "names:\n  0: pin_hole\n  1: dent\n  2: scratch\n",
    "dataset.yaml": "names: {'0': Pin-Hole, '1': DENT, '2': scratch}\n",
    "../data.yaml": "train: ../train/images\nnames: [pin_hole, dent, scratch, burn]\n",
    "classes.txt": "pin_hole\r\ndent\r\nscratch\r\n",
    "labels/classes.txt": "pin hole\ndent\nscratch\n\n",
    "obj.names": "pin_hole\ndent\nscratch\n",
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_class_numbers_mean_what_the_file_of_names_says(tray: Any, name: str, mark: bytes) -> None:
    write(tray, order=(1, 2, 0))
    (tray.root / name).write_bytes(mark + DESCRIPTIONS[name].encode())
    assert tray.f_score() == pytest.approx(tray.base_f)
    assert not any("in the order" in line for line in tray.opened().notes)


LAYOUTS = {
    "Ultralytics": ("images/val", "labels/val", "data.yaml"),
    "Darknet": (".", ".", "classes.txt"),
    "LabelImg": ("images", "images", "images/classes.txt"),
    "Roboflow": ("valid/images", "valid/labels", "data.yaml"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("from_within", [False, True])
def test_layouts_of_other_tools_are_found(
    tray: Any, tmp_path: Path, layout: str, from_within: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tray, order=(1, 2, 0))
    top = tmp_path / "set"
    pictures, labels, names = (top / name for name in LAYOUTS[layout])
    for old, new in (("images", pictures), ("labels", labels)):
        new.mkdir(parents=True, exist_ok=True)
        for path in (tray.root / old).iterdir():
            path.rename(new / path.name)
    listed = ["pin_hole", "dent", "scratch"]
    text = f"names: {json.dumps(listed)}" if names.suffix == ".yaml" else "\n".join(listed)
    names.write_text(text)
    given = {"LabelImg": top, "Roboflow": top / "valid"}.get(layout, pictures)
    if from_within:  # the folder is named from where it stands
        monkeypatch.chdir(given)
        given = Path()
    data = open_dataset(given, "detection", tray.kinds)
    assert tray.f_score(data) == pytest.approx(tray.base_f)
    assert not data.notes
    assert task_of(given) == "detection"


def test_several_sets_in_one_folder_must_be_told_apart(tray: Any) -> None:
    for name in ("train", "val"):
        (tray.root / "images" / name).mkdir()
    for path in (tray.root / "images").glob("*.png"):
        path.rename(path.parent / "val" / path.name)
    with pytest.raises(DataError, match=r"holds the folders train, val and no pictures; name one"):
        tray.opened()


def test_what_may_be_a_picture_and_is_not_read_is_counted(tray: Any) -> None:
    write(tray, "DeepPCB")
    for name in ("x.heic", "y.RAW", ".hidden.heic", "Thumbs.db", "notes"):
        (tray.root / "images" / name).write_bytes(b"x")
    assert tray.opened().notes == (
        "2 files are of no kind of picture that is read and are left out, x.heic for one",
    )


def test_without_names_the_numbers_are_the_models_and_that_is_said(tray: Any) -> None:
    write(tray)
    (line,) = tray.opened().notes
    assert line == (
        "4 class numbers are taken in the order of the model's labels, as no data.yaml or "
        "classes.txt names them, 0 for 'dent' for one"
    )


def test_a_picture_without_a_file_is_background_for_yolo_and_unlabelled_for_deeppcb(
    tray: Any,
) -> None:
    write(tray)
    (tray.root / "labels/d.txt").unlink()
    (tray.root / "classes.txt").write_text("\n".join(tray.kinds))
    data = tray.opened()
    assert (len(data), data.boxes) == (4, 3)
    assert data.notes == ("1 pictures have no label file: nothing is on them, d.png for one",)
    for path in (tray.root / "labels").iterdir():
        path.unlink()
    (tray.root / "labels").rmdir()
    write(tray, "DeepPCB")
    (tray.root / "labels/d.txt").unlink()
    data = tray.opened()
    assert (len(data), data.boxes) == (3, 3)
    assert data.notes == ("1 pictures have no label file and are left out, d.png for one",)


def test_labels_without_a_picture_are_counted(tray: Any) -> None:
    write(tray, "DeepPCB")
    (tray.root / "labels/e.txt").write_text("1 1 9 9 1\n")
    (tray.root / "labels/classes.txt").write_text("dent\n")
    assert tray.opened().notes == ("1 label files have no picture and are left out, e.txt for one",)


def test_empty_files_alone_are_pictures_without_objects(tray: Any) -> None:
    (tray.root / "labels").mkdir()
    for name in "abcd":
        (tray.root / "labels" / f"{name}.txt").touch()
    data = tray.opened()
    assert (len(data), data.boxes) == (4, 0)


def test_a_box_over_the_border_is_cut_and_one_without_area_left_out(tray: Any) -> None:
    write(tray)
    lines = [yolo_line(-20, 0, 20, 60, 0), yolo_line(5, 5, 5, 9, 1), yolo_line(70, 50, 80.2, 60, 1)]
    (tray.root / "labels/c.txt").write_text("\n".join(lines))
    data = tray.opened()
    assert data.samples[2].boxes.tolist() == [
        pytest.approx([0, 0, 20, 60], abs=1e-3),
        pytest.approx([70, 50, 80, 60], abs=1e-3),
    ]
    assert data.notes[1:] == (
        "1 boxes reach over the picture's border and are cut there, line 1 of c.txt for one",
        "1 boxes without area are left out, line 2 of c.txt for one",
    )


REFUSED = {
    "no number": ("YOLO", "0 0.5 0.5 nan 0.1", r"c\.txt: line 1: expected finite numbers, got"),
    "infinite": ("YOLO", "0 0.5 inf 0.1 0.1", r"c\.txt: line 1: expected finite numbers"),
    "words": ("YOLO", "dent 0.5 0.5 0.1 0.1", r"c\.txt: line 1: expected numbers, .*'dent'"),
    "a negative width": ("YOLO", "0 0.5 0.5 -0.005 0.1", r"c\.txt: line 1: .*negative side"),
    "half a class": ("YOLO", "0.5 0.5 0.5 0.1 0.1", r"c\.txt: line 1: expected a class from 0"),
    "a class too many": ("YOLO", "3 0.5 0.5 0.1 0.1", r"class 3 is none of the model's 0 to 2"),
    "a prediction": ("YOLO", "0 0.5 0.5 0.1 0.1 0.9", r"c\.txt: line 1: .*a score too"),
    "four numbers": ("YOLO", "0 0.5 0.5 0.1", r"c\.txt: line 1: .*got 4 numbers"),
    "px among shares": ("YOLO", "0 40 30 20 10", r"c\.txt: line 1: .*shares of 0 to 1 .*4 of 5"),
    "a share above 1": ("YOLO", "0 1.5 0.5 0.1 0.1", r"c\.txt: line 1: .*got 0 1.5 0.5 0.1 0.1"),
    "shares among px": ("DeepPCB", "0 0.5 0.5 0.1 0.1", r"c\.txt: line 1: .*in px as in 4 of 5"),
    "no number of px": ("DeepPCB", "1 2 nan 4 1", r"c\.txt: line 1: expected finite numbers"),
    "corners swapped": ("DeepPCB", "9 2 3 4 1", r"c\.txt: line 1: .*negative side"),
    "a class that is none": ("DeepPCB", "1 2 3 4 0", r"c\.txt: line 1: class 0 is none .*1 to 3"),
    "five and a half": ("DeepPCB", "1 2 3 4 1.5", r"c\.txt: line 1: class 1.5 is none"),
    "a box beside the picture": ("DeepPCB", "81 2 90 4 1", r"line 1: the box 81 2 90 4 px lies"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_label_is_one_line_that_names_it(tray: Any, what: str) -> None:
    form, text, line = REFUSED[what]
    write(tray, form)
    (tray.root / "labels/c.txt").write_text(f"{text}\n")
    with pytest.raises(DataError, match=line) as caught:
        tray.opened()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("names: [dent]\n", r"a\.txt: line 2: class 1 is not named in .*data\.yaml"),
        ("names: [dent, burn, pin_hole]\n", r"line 2: class 'burn' is none of the model's labels"),
        ("nc: 2\nnames: [dent, scratch, pin_hole]\n", "nc is 2, but there are 3 names"),
        ("nc: 3\n", r"data\.yaml: expected names"),
        ("names: {dent: 0}\n", r"data\.yaml: names: expected a class number, got 'dent'"),
        ("kpt_shape: [17, 3]\nnames: [dent]\n", r"data\.yaml: kpt_shape: .*key points"),
        ("- a\n", r"data\.yaml: expected a mapping"),
        ("names: [\n", r"data\.yaml: not YAML"),
    ],
)
def test_a_file_of_names_that_does_not_fit_is_one_line(tray: Any, content: str, line: str) -> None:
    write(tray)
    (tray.root / "data.yaml").write_text(content)
    with pytest.raises(DataError, match=line):
        tray.opened()
