"""A site that a person has written is read, or all that is wrong with it is said in one line."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mastra_ros.errors import ConfigError
from mastra_ros.pipeline.traffic.site.file import load_site, site_of
from mastra_ros.pipeline.traffic.site.homography import Homography

GOOD: dict[str, Any] = {
    "format": 1,
    "picture": {"width_px": 640, "height_px": 360},
    "homography": {
        "points": [
            {"px": [100, 100], "m": [0, 50]},
            {"px": [500, 100], "m": [20, 50]},
            {"px": [640, 350], "m": [20, 10]},
            {"px": [0, 350], "m": [0, 10]},
        ]
    },
    "lanes": [
        {
            "name": "a",
            "polygon": [[0, 0], [100, 0], [100, 300], [0, 300]],
            "way": [[50, 0], [50, 300]],
        },
        {
            "name": "b",
            "polygon": [[100, 0], [200, 0], [200, 300], [100, 300]],
            "way": [[150, 0], [150, 300]],
        },
    ],
    "lines": [{"name": "l", "points": [[0, 200], [640, 200]], "directions": {"down": "in"}}],
    "zones": [{"name": "z", "use": "stopping", "polygon": [[0, 0], [50, 0], [50, 50]]}],
}


def changed(**what: Any) -> dict[str, Any]:
    return {**copy.deepcopy(GOOD), **what}


def test_a_good_site_is_read() -> None:
    site = site_of(GOOD)
    assert [lane.name for lane in site.lanes] == ["a", "b"]
    assert (site.lines[0].forward, site.lines[0].backward) == ("in", "up")
    assert site.lane_at(50, 100) is site.lanes[0]
    assert site.homography is not None


def test_a_site_fits_pictures_of_another_size() -> None:
    site = site_of(GOOD).scaled(1280, 720)
    assert site.lane_at(100, 200) is site.lanes[0]
    assert site.homography is not None
    road = site.homography.to_road(np.array([[200.0, 200.0]]))
    assert road[0] == pytest.approx([0, 50], abs=1e-6)


@pytest.mark.parametrize(
    ("site", "told"),
    [
        (changed(lanes=[]), "lanes: expected at least one lane"),
        (changed(lanes=None), "lanes: expected at least one lane"),
        (changed(lanes="a"), "lanes: expected a list"),
        (changed(format=2), "format: expected 1"),
        (changed(colour=1), "colour: unknown"),
        (changed(anchor="nose"), "anchor: expected middle or foot"),
        (changed(picture={"width_px": 640}), "picture.height_px"),
        (changed(lanes=[*GOOD["lanes"], GOOD["lanes"][0]]), "the name 'a' is taken"),
        (
            changed(lanes=[{**GOOD["lanes"][0], "polygon": [[0, 0], [9, 9], [9, 0], [0, 9]]}]),
            "sides 1 and 3 cross",
        ),
        (
            changed(lanes=[GOOD["lanes"][0], {**GOOD["lanes"][0], "name": "c"}]),
            "lanes a and c: share 100%",
        ),
        (
            changed(lanes=[{**GOOD["lanes"][0], "polygon": [[0, 0], [9, 9]]}]),
            "expected 3 to 100 points",
        ),
        (
            changed(lanes=[{**GOOD["lanes"][0], "polygon": [[0, 0], [900, 0], [0, 90]]}]),
            "in the picture of 640x360 px",
        ),
        (changed(lanes=[{**GOOD["lanes"][0], "way": [[5, 5], [5, 5]]}]), "two points apart"),
        (changed(lines=[{"name": "l", "points": [[0, 1]]}]), "expected two points"),
        (
            changed(lines=[{**GOOD["lines"][0], "directions": {"left": "in"}}]),
            "directions.left: unknown, known are down, up",
        ),
        (changed(lines=[{**GOOD["lines"][0], "wrong": "away"}]), "wrong: expected in or up"),
        (changed(zones=[{**GOOD["zones"][0], "use": "parking"}]), "expected one of turning"),
        (changed(homography={"points": GOOD["homography"]["points"][:3]}), "expected 4 to 64"),
        (
            changed(
                homography={"points": [{"px": [x, 100 + x], "m": [x, 3]} for x in (0, 50, 90, 200)]}
            ),
            "no three are on one line",
        ),
        ([], "expected a mapping"),
    ],
)
def test_what_is_wrong_with_a_site_is_said(site: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=r"\S") as caught:
        site_of(site)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        site_of(changed(format=0, lanes=[{"name": "a"}], zones=[{"name": "z"}]))
    assert all(what in str(caught.value) for what in ("format", "lanes a", "zones z"))


def test_a_file_is_named_by_what_is_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("lanes: [")
    with pytest.raises(ConfigError, match=r"site\.yaml: cannot be read"):
        load_site(path)
    path.write_text(yaml.safe_dump(GOOD))
    assert load_site(path).width_px == 640
    with pytest.raises(ConfigError, match="not_there"):
        load_site(tmp_path / "not_there.yaml")


def test_the_site_of_the_drawn_crossing_is_good_and_knows_its_metres() -> None:
    site = load_site("config/traffic_crossing.yaml")
    assert site.homography is not None
    from mastra_ros.camera.drawn.crossing import CrossingOptions

    view = CrossingOptions(width_px=1280, height_px=720).view
    px = view.project(np.array([[3.0, 25.0, 0.0]]))[0]
    assert site.homography.to_road(px)[0] == pytest.approx([3.0, 25.0], abs=0.1)


def test_above_the_horizon_is_no_road() -> None:
    points = GOOD["homography"]["points"]
    known = Homography.of_points([p["px"] for p in points], [p["m"] for p in points])
    assert np.isnan(known.to_road(np.array([[300.0, -5000.0]]))).all()


def test_points_that_are_mixed_up_are_found_out() -> None:
    px = [[0, 0], [100, 0], [100, 100], [0, 100], [50, 50]]
    m = [[0, 0], [10, 0], [10, 10], [0, 10], [9, 1]]
    with pytest.raises(ConfigError, match="contradict each other"):
        Homography.of_points(px, m)
