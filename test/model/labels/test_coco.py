"""COCO's annotations as labelling tools write them: the right value, or one line that names it."""

from __future__ import annotations

import codecs
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from mastra_ros.errors import DataError

Change = Callable[[dict[str, Any]], Any]


def box(image: Any = 100, category: Any = 7, **more: Any) -> dict[str, Any]:
    """One more annotation."""
    return {"id": 9999, "image_id": image, "category_id": category, **more}


def shuffle(document: dict[str, Any]) -> None:
    for seed, name in enumerate(("annotations", "images", "categories")):
        random.Random(seed).shuffle(document[name])


def as_text(document: dict[str, Any]) -> None:
    """All ids as text, as some exports in JSON have them."""
    for entry in document["images"] + document["categories"] + document["annotations"]:
        for name in ("id", "image_id", "category_id"):
            if name in entry:
                entry[name] = str(entry[name])


def half_as_text(document: dict[str, Any]) -> None:
    for entry in document["annotations"]:
        entry["image_id"], entry["category_id"] = (
            str(entry["image_id"]),
            float(entry["category_id"]),
        )


def renamed(name: Callable[[str], str]) -> Change:
    def change(document: dict[str, Any]) -> None:
        for entry in document["images"]:
            entry["file_name"] = name(entry["file_name"])

    return change


def categories_as(name: Callable[[str], str]) -> Change:
    def change(document: dict[str, Any]) -> None:
        for entry in document["categories"]:
            entry["name"] = name(entry["name"])

    return change


def other_order(document: dict[str, Any]) -> None:
    """Keys of every mapping the other way round."""
    for name in reversed(list(document)):
        document[name] = [dict(reversed(list(entry.items()))) for entry in document.pop(name)]


SAME: dict[str, Change] = {
    "as it should be": lambda document: None,
    "in another order": shuffle,
    "with keys in another order": other_order,
    "with ids as text": as_text,
    "with ids as numbers here and text there": half_as_text,
    "with the pictures' folder in their names": renamed(lambda name: f"images/{name}"),
    "with paths of Windows": renamed(lambda name: f".\\images\\{name}".removeprefix(".\\")),
    "with names in capitals": renamed(str.upper),
    "with categories in capitals": categories_as(str.upper),
    "with categories in words": categories_as(lambda name: f" {name.replace('_', ' ').title()} "),
    "with a root category of Roboflow's": lambda document: document["categories"].insert(
        0, {"id": 0, "name": "pcb-defects", "supercategory": "none"}
    ),
    "with a category that never occurs": lambda document: document["categories"].append(
        {"id": 99, "name": "burn"}
    ),
    "with a box without area": lambda document: document["annotations"].append(
        box(bbox=[5, 5, 0, 0], iscrowd=0)
    ),
    "without annotation ids": lambda document: [a.pop("id") for a in document["annotations"]],
    "without sizes of pictures": lambda document: [
        (i.pop("width"), i.update(height=0)) for i in document["images"]
    ],
}


@pytest.mark.parametrize("how", SAME)
def test_labels_mean_the_same(tray: Any, how: str) -> None:
    document = tray.coco()
    SAME[how](document)
    tray.write_coco(document)
    data = tray.opened()
    assert (len(data), data.boxes, data.ignored) == (4, 4, 0)
    assert tray.f_score(data) == pytest.approx(tray.base_f)


CODINGS = {
    "UTF-8": b"",
    "UTF-8 with a mark": codecs.BOM_UTF8,
    "UTF-16": codecs.BOM_UTF16_LE,
    "UTF-16, the other way round": codecs.BOM_UTF16_BE,
    "UTF-32": codecs.BOM_UTF32_LE,
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_byte_order_mark_and_line_ends_change_nothing(
    tray: Any, coding: str, line_end: str
) -> None:
    text = json.dumps(tray.coco(), indent=1).replace("\n", line_end)
    codec = {
        codecs.BOM_UTF16_LE: "utf-16-le",
        codecs.BOM_UTF16_BE: "utf-16-be",
        codecs.BOM_UTF32_LE: "utf-32-le",
    }.get(CODINGS[coding], "utf-8")
    (tray.root / "annotations.json").write_bytes(CODINGS[coding] + text.encode(codec))
    assert tray.f_score() == pytest.approx(tray.base_f)


def crowd(document: dict[str, Any], category: int = 7, flag: Any = 1) -> None:
    for number, entry in enumerate(document["images"]):
        document["annotations"].append(
            {
                "id": 9000 + number,
                "image_id": entry["id"],
                "category_id": category,
                "bbox": [0, 0, 80, 60],
                "iscrowd": flag,
                "segmentation": {"counts": [0, 4800], "size": [60, 80]},
            }
        )


@pytest.mark.parametrize("flag", [1, True, "1"])
def test_a_crowd_counts_neither_as_found_nor_as_missed(tray: Any, flag: Any) -> None:
    """The false dent of picture c lies in a crowd of dents: it is no longer wrong."""
    document = tray.coco()
    crowd(document, flag=flag)
    tray.write_coco(document)
    data = tray.opened()
    assert (data.boxes, data.ignored) == (4, 4)
    assert tray.f_score(data) == 1.0


def test_a_crowd_of_another_class_excuses_nothing(tray: Any) -> None:
    document = tray.coco()
    crowd(document, category=14)
    tray.write_coco(document)
    assert tray.f_score() == pytest.approx(tray.base_f)


def without(name: str, key: str) -> Change:
    return lambda document: document[name][1].pop(key)


def with_value(name: str, key: str, value: Any) -> Change:
    return lambda document: document[name][1].update({key: value})


def more(**entry: Any) -> Change:
    return lambda document: document["annotations"].append(box(**entry))


NAN, INFINITE = float("nan"), float("inf")
REFUSED: dict[str, tuple[Change, str]] = {
    "a box that is no number": (
        more(bbox=[5, 5, NAN, 3]),
        r"json: annotation 9999: expected finite numbers in bbox, got \[5, 5, nan, 3\]",
    ),
    "an infinite box": (more(bbox=[5, -INFINITE, 4, 3]), "annotation 9999: .*finite.*-inf"),
    "a number beyond all": (more(bbox=[5, 10**400, 4, 3]), "annotation 9999: .*finite"),
    "a negative width": (more(bbox=[5, 5, -4, 3]), "annotation 9999: .*negative width"),
    "a negative height": (more(bbox=[5, 5, 4, -0.5]), "annotation 9999: .*negative"),
    "a box of words": (more(bbox=["5", 5, 4, 3]), "annotation 9999: .*finite numbers"),
    "a box of truths": (more(bbox=[True, 5, 4, 3]), "annotation 9999: .*finite numbers"),
    "a box of three": (more(bbox=[5, 5, 4]), "annotation 9999: .*x y width height"),
    "a box that is none": (more(bbox="5 5 4 3"), "annotation 9999: .*list of numbers"),
    "a box beside the picture": (
        more(bbox=[100, 5, 4, 3]),
        r"annotation 9999: the box 100 5 104 8 px lies outside a.png, which is 80x60 px",
    ),
    "neither box nor outline": (more(segmentation=[]), "annotation 9999: .*expected a bbox"),
    "a mask alone": (
        more(segmentation={"counts": "abc", "size": [60, 80]}, iscrowd=1),
        "annotation 9999: .*a mask alone",
    ),
    "an odd outline": (
        more(segmentation=[[1, 1, 9, 1, 9]]),
        "annotation 9999: .*polygons of x y pairs",
    ),
    "a crowd by another word": (more(bbox=[1, 1, 2, 2], iscrowd="yes"), "annotation 9999: .*'yes'"),
    "a picture that is not listed": (
        more(image=12345, bbox=[5, 5, 9, 9]),
        "annotation 9999: image_id 12345 is none of the images",
    ),
    "a category that is not listed": (
        more(category=1, bbox=[5, 5, 9, 9]),
        "annotation 9999: category_id 1 is none of the categories",
    ),
    "a label that the model lacks": (
        lambda d: (
            d["categories"].append({"id": 1, "name": "burn"}),
            d["annotations"].append(box(category=1, bbox=[5, 5, 9, 9])),
        ),
        "annotation 9999: category 'burn' is none of the model's labels dent, scratch, pin_hole",
    ),
    "an annotation's id twice": (more(bbox=[5, 5, 9, 9], id=50), "annotation id 50 is used twice"),
    "a picture's id twice": (with_value("images", "id", 100), "image id 100 is used twice"),
    "a category's id twice": (with_value("categories", "id", "7"), "category id 7 is used twice"),
    "a picture twice": (
        with_value("images", "file_name", "a.png"),
        "a.png is listed twice, as image 100 and as image 93",
    ),
    "no id of a picture": (without("images", "id"), "image at place 2: expected id .*None"),
    "no name of a picture": (without("images", "file_name"), "image 93: expected a file_name"),
    "no name of a category": (without("categories", "name"), "category 14: expected a name"),
    "no picture of a box": (without("annotations", "image_id"), "annotation 53: .*image_id"),
    "no category of a box": (without("annotations", "category_id"), "annotation 53: .*category_id"),
    "another size": (
        with_value("images", "width", 160),
        "b.png is said to be 160x60 px, the picture is 80x60",
    ),
    "no annotations": (lambda d: d.pop("annotations"), "expected a list 'annotations', got none"),
    "no categories": (lambda d: d.pop("categories"), "expected a list 'categories', got none"),
    "images as a mapping": (
        lambda d: d.update(images={}),
        "expected a list 'images', got a dict",
    ),
    "an entry that is none": (
        lambda d: d["annotations"].append(None),
        "annotation at place 5: expected a mapping, got none",
    ),
    "boxes in shares of the picture": (
        lambda d: [a.update(bbox=[0.1, 0.1, 0.5, 0.5]) for a in d["annotations"]],
        "expected px, got shares",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_label_is_one_line_that_names_it(tray: Any, what: str) -> None:
    document = tray.coco()
    change, line = REFUSED[what]
    change(document)
    tray.write_coco(document)
    with pytest.raises(DataError, match=line) as caught:
        tray.opened()
    assert "annotations.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "expected COCO's mapping .*got a list"),
        (b"\x80\x81", "not text in UTF-8"),
    ],
)
def test_a_file_that_is_not_cocos_is_one_line(tray: Any, content: bytes, line: str) -> None:
    (tray.root / "annotations.json").write_bytes(content)
    with pytest.raises(DataError, match=line):
        tray.opened()


NAMED_OTHERWISE = (
    "1 names of classes are taken for labels that are written otherwise, "
    "'Pin hole' for 'pin_hole' for one"
)
CUT = (
    "1 boxes reach over the picture's border and are cut there, "
    "annotation 3 of annotations.json for one"
)


def test_what_is_left_out_is_counted(tray: Any, caplog: pytest.LogCaptureFixture) -> None:
    document = tray.coco()
    document["annotations"] += [
        box(bbox=[5, 5, 0, 9]) | {"id": 1},
        box(bbox=[5, 5, 9, 0]) | {"id": 2},
        box(bbox=[-20.5, -3, 30, 10]) | {"id": 3},
        box(bbox=[70.25, 50, 9.9, 10.4]) | {"id": 4},
        box(segmentation=[[1, 1, 9, 1, 9, 8]]) | {"id": 5},
    ]
    document["categories"].append({"id": 0, "name": "all"})
    document["categories"][2]["name"] = "Pin hole"
    document["images"] = document["images"][:2] + document["images"][3:]
    tray.write_coco(document)
    data = tray.opened()
    assert data.boxes == 4 + 3
    assert data.samples[0].boxes[-3:].tolist() == [
        [0, 0, 9.5, 7],
        [70.25, 50, pytest.approx(80), 60],
        [1, 1, 9, 8],
    ]
    assert data.notes == (
        "1 pictures are not listed in annotations.json and are left out, c.png for one",
        NAMED_OTHERWISE,
        "1 annotations without bbox get the box around their polygons, annotation 5 for one",
        "1 categories are no labels of the model and have no annotations, 'all' for one",
        "2 boxes without area are left out, annotation 1 of annotations.json for one",
        CUT,
    )
    assert [record.getMessage() for record in caplog.records] == [
        f"{tray.root}: {line}" for line in data.notes
    ]


def test_pictures_that_are_missing_are_counted_or_too_many(tray: Any) -> None:
    document = tray.coco()
    for k in range(20):
        document["images"].append({"id": 200 + k, "file_name": f"more/{k}.png"})
        (tray.root / "more").mkdir(exist_ok=True)
        (tray.root / "more" / f"{k}.png").write_bytes((tray.root / "images/a.png").read_bytes())
    (tray.root / "more/0.png").unlink()
    tray.write_coco(document)
    data = tray.opened()
    assert len(data) == 23
    (line,) = data.notes
    assert line.startswith("1 pictures cannot be read and are left out")
    for k in range(1, 4):
        (tray.root / f"more/{k}.png").unlink()
    with pytest.raises(DataError, match=r"4 of 24 pictures cannot be read, .*0\.png for one"):
        tray.opened()


def test_names_that_two_labels_share_but_for_their_case_are_not_guessed(tray: Any) -> None:
    document = tray.coco()
    document["categories"][0]["name"] = "DENT"
    tray.write_coco(document)
    with pytest.raises(DataError, match="category 'DENT' is none of the model's labels"):
        tray.opened(("dent", "Dent", *tray.kinds[1:]))
    document["categories"][0]["name"] = "Dent"
    tray.write_coco(document)
    assert tray.opened(("dent", "Dent", *tray.kinds[1:])).samples[0].classes.tolist() == [1, 2]
