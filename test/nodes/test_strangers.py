"""Which parameters of a command line nobody will read."""

from __future__ import annotations

from pathlib import Path

import pytest

from mastra_ros.nodes.strangers import strangers

CAMERA = ["/line1/camera"]


@pytest.mark.parametrize(
    "pattern", ["line1/camera", "/line1/camera", "/**/camera", "/**", "/line1/*", "/*/camera", "**"]
)
def test_patterns_that_fit_are_no_strangers(tmp_path: Path, pattern: str) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(f'"{pattern}":\n  ros__parameters: {{rate_hz: 1.0}}\n')
    given = ["camera", "--ros-args", "--params-file", str(file), "-p", f"{pattern}:rate_hz:=1.0"]
    assert strangers(given, CAMERA) == []


@pytest.mark.parametrize("pattern", ["camera", "/line2/camera", "/*/*/camera", "/line1/camra"])
def test_a_pattern_that_fits_no_node_is_told_with_those_there_are(
    tmp_path: Path, pattern: str
) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(f"{pattern}:\n  ros__parameters: {{rate_hz: 1.0}}\n")
    given = ["camera", "--ros-args", "--params-file", str(file), "-p", f"{pattern}:rate_hz:=1.0"]
    in_file, in_line = strangers(given, CAMERA)
    for told in (in_file, in_line):
        assert f"there is no node {pattern.lstrip('/')!r} here, only /line1/camera" in told


def test_a_parameter_without_a_node_is_for_all() -> None:
    given = ["camera", "--ros-args", "-p", "rate_hz:=1.0", "-p", "source:=rtsp://host:554/a"]
    assert strangers(given, CAMERA) == []


def test_a_file_may_speak_of_other_stages_and_lines_a_command_line_not(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(
        "line1:\n"
        "  bridge:\n    ros__parameters: {stream: a}\n"
        "  camera:\n    ros__parameters: {rate_hz: 1.0}\n"
        "line2:\n  camera:\n    ros__parameters: {rate_hz: 2.0}\n"
    )
    given = ["camera", "--ros-args", "--params-file", str(file), "--param", "bridge:stream:=b"]
    (line,) = strangers(given, CAMERA)
    assert line.startswith("-p bridge:stream:=b: ignored")


def test_what_does_not_stand_among_the_ros_arguments_is_not_looked_at() -> None:
    assert strangers(["-p", "camra:x:=1", "--ros-args", "--", "-p", "camra:x:=1"], CAMERA) == []


@pytest.mark.parametrize("content", ["", "[1, 2]", "a: b: c", "/**: {ros__parameters: 5}"])
def test_a_file_that_ros_will_complain_of_is_left_to_it(tmp_path: Path, content: str) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(content)
    assert strangers(["--ros-args", "--params-file", str(file)], CAMERA) == []
    assert strangers(["--ros-args", "--params-file"], CAMERA) == []
