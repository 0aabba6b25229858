"""`mastra traffic draw` checks a site and shows it over a frame of its camera."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from mastra_ros.camera.drawn.crossing import Crossing, CrossingOptions
from mastra_ros.cli.main import main
from mastra_ros.share import share_file

SITE = "config/traffic_crossing.yaml"


def test_a_good_site_is_drawn_over_the_frame_and_summed_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "checked.png"
    source = "synthetic:crossing?seed=1"
    assert main(["traffic", "draw", str(share_file(SITE)), str(picture), "--source", source]) == 0
    assert "8 lanes, 1 lines, 5 zones; speeds are known" in capsys.readouterr().out
    drawn = cv2.imread(str(picture))
    assert drawn is not None
    bare = Crossing(CrossingOptions(seed=1)).frame(0)[0]
    assert drawn.shape == bare.shape
    changed = (np.abs(drawn.astype(int) - cv2.cvtColor(bare, cv2.COLOR_RGB2BGR)) > 40).any(2)
    assert 0.005 < changed.mean() < 0.2, "lines over a frame, which is seen below them"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"lanes": []}, "lanes"),
        (
            {
                "lanes": [
                    {
                        "name": "bow",
                        "polygon": [[100, 100], [500, 400], [500, 100], [100, 400]],
                        "way": [[150, 150], [400, 300]],
                    }
                ]
            },
            "cross",
        ),
        (
            {"homography": {"points": [{"px": [n, n], "m": [n, n]} for n in (10, 20, 30, 40)]}},
            "line",
        ),
    ],
)
def test_what_is_wrong_with_a_site_is_one_line_and_no_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], says: str
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(yaml.safe_dump({**yaml.safe_load(share_file(SITE).read_text()), **change}))
    picture = tmp_path / "checked.png"
    assert main(["traffic", "draw", str(site), str(picture)]) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert str(site) in told.err
    assert told.err.count("\n") == 1
    assert not picture.exists()


def test_a_frame_before_the_first_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["traffic", "draw", str(share_file(SITE)), str(tmp_path / "a.png"), "--frame", "-1"]
    assert main(asked) == 2
    assert "--frame: expected 0 or more" in capsys.readouterr().err
