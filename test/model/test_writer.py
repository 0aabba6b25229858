"""A bundle is written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.tiny_classifier import describe, write_classifier
from mastra_ros.errors import ModelError
from mastra_ros.inference import Bundle, load_bundle
from mastra_ros.model.verify import verify
from mastra_ros.model.writer import BundleWriter


def test_what_is_committed_can_be_loaded_and_knows_its_digests(colours: Bundle) -> None:
    part = colours.part("cloud")
    assert part.measurements["bytes"] == part.path.stat().st_size
    assert len(part.sha256) == 64
    assert [path.name for path in colours.path.parent.parent.iterdir()] == ["colours"]


def test_without_a_commit_nothing_is_left(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "made") as writer:
        writer.path("local.tflite").write_bytes(b"model")
    assert list(tmp_path.iterdir()) == []


def test_after_an_error_nothing_is_left(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError),
        BundleWriter(tmp_path / "made") as writer,
    ):
        writer.describe(describe(cloud="cloud.onnx"))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full to write to")

    def write() -> None:
        with BundleWriter(tmp_path / "made") as writer:
            writer.path("cloud.onnx").symlink_to("/dev/full")
            writer.path("cloud.onnx").write_bytes(bytes(100_000))

    with pytest.raises(ModelError, match="the disk is full"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_is_replaced_only_when_asked(colours: Bundle) -> None:
    folder = colours.path.parent
    with pytest.raises(ModelError, match="--replace"), BundleWriter(folder):
        pass
    with BundleWriter(folder, replace=True) as writer:
        write_classifier(writer.path("cloud.onnx"))
        writer.describe({**describe(cloud="cloud.onnx"), "version": "2.0.0"})
        assert load_bundle(str(folder)).version == "1.0.0"
        writer.commit()
    assert load_bundle(str(folder)).version == "2.0.0"
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_that_is_no_bundle_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelError, match="no bundle"), BundleWriter(tmp_path, replace=True):
        pass
    assert (tmp_path / "thesis.txt").exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"), BundleWriter(tmp_path / "file/b"):
        pass


def test_a_description_that_does_not_fit_the_model_is_seen_by_verify(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    with BundleWriter(tmp_path / "made") as writer:
        write_classifier(writer.path("cloud.onnx"), labels=5)
        writer.describe(describe(cloud="cloud.onnx"))
        writer.commit()
    problems = [check.problem for check in verify(tmp_path / "made")]
    assert any("expected [n, 3] for 3 labels" in problem for problem in problems)
