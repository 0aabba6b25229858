"""Damage and strangers in a bundle are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from mastra_ros.cli import main as cli
from mastra_ros.errors import ModelError
from mastra_ros.inference import Bundle
from mastra_ros.model.verify import verify


def problems(folder: Path) -> dict[str, str]:
    return {check.what: check.problem for check in verify(folder) if check.problem}


def test_a_sound_bundle_is_in_order(colours: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert problems(colours.path.parent) == {}
    assert cli.main(["model", "verify", str(colours.path.parent)]) == 0
    assert "in order" in capsys.readouterr().out


def test_a_damaged_file_is_named(colours: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    path = colours.part("local").path
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert "damaged" in problems(path.parent)["local.onnx"]
    assert "local.onnx" in problems(path.parent)["bundle.yaml"]
    assert cli.main(["model", "verify", str(path.parent)]) == 1
    assert "WRONG local.onnx" in capsys.readouterr().out


def test_a_missing_file_is_named(colours: Bundle) -> None:
    colours.part("local").path.unlink()
    assert problems(colours.path.parent)["local.onnx"] == "is missing"


def test_a_foreign_file_is_named_and_a_companion_is_not(colours: Bundle) -> None:
    folder = colours.path.parent
    (folder / "README.md").write_text("")
    (folder / "report").mkdir()
    (folder / "report" / "report.json").write_text("{}")
    (folder / "old.onnx").write_text("")
    assert list(problems(folder)) == ["old.onnx"]


def test_a_newer_format_is_refused(colours: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    text = colours.path.read_text()
    colours.path.write_text(text.replace("format: 1", "format: 7"))
    assert "newer" in problems(colours.path.parent)["bundle.yaml"]
    assert cli.main(["model", "show", str(colours.path.parent)]) == 1
    assert "format 7 is newer than 3" in capsys.readouterr().err


def test_what_is_no_bundle_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no bundle"):
        verify(tmp_path)
    (tmp_path / "bundle.yaml").write_text("[1, 2]")
    with pytest.raises(ModelError, match="expected a mapping"):
        verify(tmp_path)
    (tmp_path / "bundle.yaml").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        verify(tmp_path)


def test_show_tells_what_the_bundle_holds(
    colours: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["model", "show", str(colours.path.parent)]) == 0
    shown = capsys.readouterr().out
    assert "blue, green, red" in shown
    assert "16x16 bgr" in shown
    assert colours.part("cloud").sha256 in shown
