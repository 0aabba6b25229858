"""Bundles as archives: out and in again, and archives that somebody hostile made."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest

from mastra_ros.errors import ModelError
from mastra_ros.inference import load_bundle
from mastra_ros.inference.packing import pack_bundle, unpack_bundle
from mastra_ros.inference.shelf import Shelf, ShelfState

from .conftest import BundleMaker


@pytest.fixture
def packed(make_bundle: BundleMaker, tmp_path: Path) -> Path:
    path = tmp_path / "in.zip"
    path.write_bytes(pack_bundle(load_bundle(str(make_bundle()))))
    return path


def with_changes(packed: Path, **files: bytes | None) -> Path:
    """The archive with other files; None leaves one out."""
    new = io.BytesIO()
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(new, "w") as target:
        for name in old.namelist():
            if name not in files:
                target.writestr(name, old.read(name))
        for name, data in files.items():
            if data is not None:
                target.writestr(name, data)
    path = packed.with_name("changed.zip")
    path.write_bytes(new.getvalue())
    return path


def test_a_bundle_goes_through_an_archive_and_is_the_same(packed: Path, tmp_path: Path) -> None:
    bundle = unpack_bundle(packed, tmp_path / "out")
    assert bundle.path.parent == tmp_path / "out" / bundle.digest
    assert pack_bundle(bundle) == packed.read_bytes()
    for path in bundle.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = unpack_bundle(packed, tmp_path / "out", digest=bundle.digest)
    assert again.digest == bundle.digest
    with pytest.raises(ModelError, match="expected the bundle"):
        unpack_bundle(packed, tmp_path / "out", digest="0" * 64)


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/b", "..", "a\\..\\b", "~", "x" * 200])
def test_names_that_lead_elsewhere_are_refused(packed: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match="archive of a bundle: "):
        unpack_bundle(with_changes(packed, **{name: b"evil"}), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == []
    assert not (tmp_path / "evil").exists()


def test_links_strange_files_changed_files_and_missing_ones_are_refused(
    packed: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(packed) as archive:
        part = next(name for name in archive.namelist() if name != "bundle.yaml")
    out = tmp_path / "out"
    for changes in (
        {"strange.bin": b"1"},
        {part: b"another"},
        {part: None},
        {"bundle.yaml": None},
        {"bundle.yaml": b"[1, 2]"},
        {"bundle.yaml": b"parts: {local: {file: 7}}"},
        {"bundle.yaml": b"\xff\xfe"},
        {f"f{n}": b"" for n in range(20)},
    ):
        with pytest.raises(ModelError):
            unpack_bundle(with_changes(packed, **changes), out)
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = with_changes(packed)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ModelError, match="plain files"):
        unpack_bundle(path, out)
    assert list(out.iterdir()) == []


def test_what_is_too_large_is_refused_also_where_the_archive_lies_about_it(
    packed: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="at most 1000 bytes"):
        unpack_bundle(packed, tmp_path / "out", bytes_max=1000)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bundle.yaml", b"#" * 50_000_000)
    path = tmp_path / "bomb.zip"
    path.write_bytes(bomb.getvalue())
    with pytest.raises(ModelError, match="yaml has more than"):
        unpack_bundle(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("cut", [0, 1, 10, 100, -1, -30])
def test_half_an_archive_is_one_clear_error(packed: Path, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "half.zip"
    path.write_bytes(packed.read_bytes()[:cut])
    with pytest.raises(ModelError, match="archive of a bundle"):
        unpack_bundle(path, tmp_path / "out")


def test_a_bundle_that_does_not_start_twice_is_left_for_the_one_before(
    make_bundle: BundleMaker, packed: Path, tmp_path: Path
) -> None:
    base = load_bundle(str(make_bundle(name="older")))
    shelf = Shelf(tmp_path / "bundles", base)
    new = shelf.unpack(packed)
    shelf.switched(new, "7.1", 0.9)
    for _ in range(2):
        assert Shelf(tmp_path / "bundles", base).start().digest == new.digest
    again = Shelf(tmp_path / "bundles", base)
    assert again.start().digest == base.digest
    assert "did not start 2 times" in again.state.refused
    assert again.state.rollout == "7.1"


def test_an_answer_proves_a_bundle_and_another_parameter_wins(
    make_bundle: BundleMaker, packed: Path, tmp_path: Path
) -> None:
    base = load_bundle(str(make_bundle(name="older")))
    shelf = Shelf(tmp_path / "bundles", base)
    new = shelf.unpack(packed)
    shelf.switched(new, "7.1", 0.9)
    for _ in range(5):
        shelf = Shelf(tmp_path / "bundles", base)
        assert shelf.start().digest == new.digest
        shelf.answered()
    other = load_bundle(str(make_bundle(name="other")))
    assert Shelf(tmp_path / "bundles", other).start().digest == other.digest


def test_a_state_or_bundle_that_is_damaged_is_left(
    make_bundle: BundleMaker, packed: Path, tmp_path: Path
) -> None:
    base = load_bundle(str(make_bundle(name="older")))
    folder = tmp_path / "bundles"
    shelf = Shelf(folder, base)
    new = shelf.unpack(packed)
    shelf.switched(new, "7.1", 0.9)
    next(path for path in new.path.parent.iterdir() if path.name != "bundle.yaml").write_bytes(b"")
    assert Shelf(folder, base).start().digest == base.digest
    for text in ("", "[]", '{"current": "../.."}', '{"current": 7}', "[" * 50_000):
        (folder / "state.json").write_text(text)
        assert Shelf(folder, base).state == ShelfState(base=base.digest)
