"""`mastra run --plot`: the age of every result over time, the route as a band, the cut shaded."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mastra_ros.cli import main as cli
from mastra_ros.cli.report import RunReport
from mastra_ros.cli.run_plot import COLOURS, CUT_COLOUR, draw_run
from mastra_ros.cli.timeline import Stretch, Timeline
from mastra_ros.emulation import parse_faults
from mastra_ros.errors import ConfigError, DependencyError
from mastra_ros.figures import prepare
from mastra_ros.types import Detections, FrameKey, Result, Route


def a_cut() -> Timeline:
    """Thirty seconds at 10/s that began at 100 s: the device answers from 10 s to 20 s."""
    timeline = Timeline()
    for k in range(300):
        away = not 100 <= k < 200
        timeline.add(100.0 + k / 10, 60.0 if away else 8.0, "cloud" if away else "local")
    return timeline


def test_a_stretch_lasts_until_the_next_one_begins() -> None:
    assert list(a_cut().stretches()) == [
        Stretch("cloud", 100.0, 110.0),
        Stretch("local", 110.0, 120.0),
        Stretch("cloud", 120.0, 129.9),
    ]
    assert list(Timeline().stretches()) == []
    lone = Timeline()
    lone.add(3.0, 1.0, "split")
    assert list(lone.stretches()) == [Stretch("split", 3.0, 3.0)]


def test_the_link_is_lost_from_when_it_goes_until_it_is_back() -> None:
    timeline = a_cut()
    for at_s, up in ((100, False), (101, True), (102, True), (110, False), (111, False)):
        timeline.link(at_s, up)
    assert list(timeline.lost()) == [(110, math.inf)]
    timeline.link(121, True)
    timeline.link(125, False)
    assert list(timeline.lost()) == [(110, 121), (125, math.inf)]
    never = Timeline()
    never.link(1, False)
    assert list(never.lost()) == list(Timeline().lost()) == []


def test_points_are_those_that_told_their_age() -> None:
    timeline = Timeline()
    timeline.add(1.0, math.nan, "local")
    timeline.add(2.0, 5.0, "local")
    timeline.add(3.0, 9.0, "cloud")
    assert timeline.points("local") == ([2.0], [5.0])
    assert timeline.points("cloud") == ([3.0], [9.0])
    assert timeline.points("split") == ([], [])


def test_a_report_keeps_when_each_final_result_came() -> None:
    report = RunReport()
    for stamp_ns, origin, error in (
        (1, Route.LOCAL, ""),
        (2, Route.CLOUD, ""),
        (3, Route.CLOUD, "no"),
    ):
        result = Result(
            FrameKey("main", stamp_ns), origin, Detections.empty(), age_ms=7.0, error=error
        )
        report.on_frame(stamp_ns)
        report.on_result(result)
        report.on_result(result)  # a second one counts as a duplicate, and is not drawn
    assert [s.origin for s in report.timeline.stretches()] == ["local", "cloud"]
    assert len(report.timeline) == 2
    assert len(report.timeline.failed_s) == 1


def rgb(colour: str) -> NDArray[np.int64]:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])


def columns_of(picture: NDArray[np.uint8], colour: str) -> NDArray[np.int64]:
    """Columns in which a run of 20 or more pixels has this colour: the band, not the dots."""
    near = np.abs(picture.astype(np.int64) - rgb(colour)).max(axis=2) < 12
    return np.flatnonzero(near.sum(axis=0) >= 20)


def band_from_to(picture: NDArray[np.uint8]) -> tuple[int, int]:
    """First and last column of the device's band."""
    columns = columns_of(picture, COLOURS["local"])
    return int(columns.min()), int(columns.max())


def shaded_from_to(picture: NDArray[np.uint8]) -> tuple[int, int]:
    """First and last column that is shaded."""
    shade = 0.16 * rgb(CUT_COLOUR) + 0.84 * 255
    columns = np.flatnonzero((np.abs(picture - shade).max(axis=2) < 6).sum(axis=0) >= 100)
    return int(columns.min()), int(columns.max())


def read(path: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(picture[..., ::-1], np.uint8)


def test_the_band_has_the_routes_colours_at_their_times_and_the_cut_is_shaded(
    tmp_path: Path,
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    path = tmp_path / "new" / "cut.png"
    faults = parse_faults("down@10s..20s")
    draw_run(a_cut(), path, began_s=100.0, title="a cut", faults=faults, deadline_ms=150.0)
    picture = read(path)
    device, gateway = (columns_of(picture, COLOURS[route]) for route in ("local", "cloud"))
    wide = gateway.max() - gateway.min()
    assert device.min() - gateway.min() == pytest.approx(wide * 10 / 29.9, abs=4)
    assert device.max() - gateway.min() == pytest.approx(wide * 20 / 29.9, abs=4)
    assert not set(device[3:-3]) & set(gateway)
    assert shaded_from_to(picture) == pytest.approx(band_from_to(picture), abs=6)


def test_without_faults_of_our_own_the_times_without_a_link_are_shaded(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    timeline = a_cut()
    for at_s, up in ((100, True), (110, False), (120, True)):
        timeline.link(at_s, up)
    path = tmp_path / "lost.png"
    draw_run(timeline, path, began_s=100.0, title="lost")
    assert shaded_from_to(read(path)) == pytest.approx(band_from_to(read(path)), abs=6)


@pytest.mark.parametrize(
    "faults",
    [
        "",
        "reset@1s,reset@2s",
        "stall@1s..2s,delay=50ms@3s,up:rate=20kbit@4s..90s,loss=2%@200s,jitter=5ms@0s",
    ],
)
@pytest.mark.parametrize("kind", ["some", "none", "failed"])
def test_every_run_can_be_drawn(tmp_path: Path, faults: str, kind: str) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    timeline = a_cut() if kind == "some" else Timeline()
    if kind == "failed":
        timeline.fail(101.0)
    path = tmp_path / "plot.png"
    draw_run(timeline, path, began_s=100.0, title="x", faults=parse_faults(faults))
    assert read(path).shape[1] > 800


def test_what_is_missing_is_said_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "factory_inspection", "--plot"]
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(DependencyError, match="plots need matplotlib: pip install matplotlib"):
        prepare(tmp_path / "a.png")
    assert cli.main([*command, str(tmp_path / "a.png")]) == 1
    told = capsys.readouterr()
    line = "plots need matplotlib: pip install matplotlib, or apt install python3-matplotlib"
    assert told.err.strip() == f"mastra: {line}"
    assert not told.out


@pytest.mark.parametrize(
    "command",
    [
        ["model", "evaluate", "no_such_bundle", "--data", "nowhere"],
        ["model", "split", "no_such_bundle", "--at", "auto"],
        ["simulate", "no_such_trace"],
    ],
    ids=["evaluate", "split", "simulate"],
)
def test_every_command_that_draws_says_so_before_its_work(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before it looks for what it works on, which is not there."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert cli.main([*command, "--plot", "x.png"]) == 1
    assert "plots need matplotlib" in capsys.readouterr().err


def test_a_plot_that_cannot_be_written_is_said_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    with pytest.raises(ConfigError, match=r"--plot: expected a file ending in one of .*\.png"):
        prepare(tmp_path / "plot.txt")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="--plot: cannot make"):
        prepare(tmp_path / "file" / "plot.png")
    assert cli.main(["run", "factory_inspection", "--plot", str(tmp_path / "plot")]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("mastra: --plot: expected a file ending in one of")
    assert not told.out


def test_a_run_draws_itself(tmp_path: Path) -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    path = tmp_path / "run.png"
    command = [sys.executable, "-m", "mastra_ros.cli.main", "run", "factory_inspection", "--quiet"]
    command += ["--gateway", "none", "--frames", "20", "--plot", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert f"plot in {path}" in done.stdout
    assert len(columns_of(read(path), COLOURS["local"])) > 500
