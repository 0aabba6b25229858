"""Files of volumes and castings have names and values alone, each checked and explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mastra_ros.cli import main as cli
from mastra_ros.config import OWN_FILES, parameters_of, read_own_file
from mastra_ros.config.files import to_markdown
from mastra_ros.config.own_files import own_yaml
from mastra_ros.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
ALL = pytest.mark.parametrize("name", OWN_FILES)


@ALL
def test_the_docs_have_a_row_for_every_parameter(name: str) -> None:
    table = to_markdown().split(f"## {name} (a file of its own)\n")[1].split("\n## ")[0]
    rows = [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]
    assert rows == list(parameters_of(OWN_FILES[name].config))


@ALL
def test_what_is_printed_can_be_read_again(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["params", "--of", name]) == 0
    path = tmp_path / "own.yaml"
    path.write_text(capsys.readouterr().out)
    config = OWN_FILES[name].config
    assert read_own_file(config, path) == config()
    assert own_yaml(config()) == path.read_text()


@pytest.mark.parametrize(
    ("name", "file"), [("volume", "ultrasound.yaml"), ("casting", "casting.yaml")]
)
def test_the_files_that_ship_are_accepted(
    name: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["params", "--of", name, str(ROOT / "config/volumes" / file)]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n{one}: " in f"\n{printed}" for one in parameters_of(OWN_FILES[name].config))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("spacing_mm: 0.01", "spacing_mm: expected 0.05 to 10"),
        ("spacing: 1.0\nvoxels: 2", "spacing: unknown parameter.*; voxels: unknown parameter"),
        ("/**/gateway:\n  ros__parameters:\n    port: 1", "/\\*\\*/gateway: unknown parameter"),
        ("- spacing_mm", "expected parameters and values, got list"),
        ("spacing_mm: [", "expected the node content"),
        ("spacing_mm: .nan", "spacing_mm: expected"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_file(
    text: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        read_own_file(OWN_FILES["volume"].config, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_numbers_are_read_as_ros_reads_them_and_comments_alone_change_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("voxels_max: 1000000\ncontrast: 4e1\n")
    told: Any = read_own_file(OWN_FILES["volume"].config, path)
    assert told.contrast == 40.0
    path.write_text("# nothing\n")
    assert read_own_file(OWN_FILES["volume"].config, path) == OWN_FILES["volume"].config()
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=str(path)):
        read_own_file(OWN_FILES["volume"].config, path)
