"""Spool, results, keys and locks belong to one user, from their birth and whatever lay there."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mastra_ros.bridge import SqliteSpool
from mastra_ros.errors import AuthenticationError, SpoolError, StoreError
from mastra_ros.gateway.sqlite_store import SqliteStore
from mastra_ros.gateway.store import FrameId, Record
from mastra_ros.private_files import check_folder, lock, open_named, open_private
from mastra_ros.protocol.keys import check_private, init_keys
from mastra_ros.types import FrameKey, Packet, PacketKind

STRANGER = 4242


def open_store(folder: Path) -> None:
    store = SqliteStore(folder)
    store.commit(Record(FrameId("camera-1", "main", 1), b"result")).result(30)
    assert_private(folder)
    store.close()


def open_spool(folder: Path) -> None:
    spool = SqliteSpool(folder / "spool.sqlite")
    spool.put([Packet(FrameKey("main", 1), PacketKind.KEY, b"picture", 8, 8, "jpeg")])
    assert_private(folder)
    spool.close()


def assert_private(folder: Path) -> None:
    """Every file has mode 0600 while the database is open and written."""
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert any(name.endswith("-wal") for name in modes)


OPEN: dict[str, Callable[[Path], None]] = {"store": open_store, "spool": open_spool}
NAMES = {"store": ["results.sqlite3", "lock"], "spool": ["spool.sqlite"]}
FILES = [(kind, name) for kind, names in NAMES.items() for name in names]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture(autouse=True)
def careless_umask() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("kind", OPEN)
def test_all_files_are_closed_to_others_from_birth(kind: str, folder: Path) -> None:
    OPEN[kind](folder)


@pytest.mark.parametrize("kind", OPEN)
def test_files_that_others_could_read_are_closed(kind: str, folder: Path) -> None:
    OPEN[kind](folder)
    for path in folder.iterdir():
        path.chmod(0o666)
    OPEN[kind](folder)


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_a_link_is_not_followed_and_its_target_stays(kind: str, name: str, folder: Path) -> None:
    """A lock that followed a link truncated another's file."""
    victim = folder.parent / "victim"
    victim.write_text("precious")
    (folder / name).symlink_to(victim)
    with pytest.raises((SpoolError, StoreError), match=f"{name}.*symbolic link"):
        OPEN[kind](folder)
    assert victim.read_text() == "precious"


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_a_dangling_link_makes_no_file(kind: str, name: str, folder: Path) -> None:
    (folder / name).symlink_to(folder.parent / "made")
    with pytest.raises((SpoolError, StoreError)):
        OPEN[kind](folder)
    assert not (folder.parent / "made").exists()


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_what_is_no_file_is_refused(kind: str, name: str, folder: Path) -> None:
    (folder / name).mkdir()
    with pytest.raises((SpoolError, StoreError)):
        OPEN[kind](folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(("kind", "name"), FILES)
def test_a_file_of_a_stranger_is_refused(kind: str, name: str, folder: Path) -> None:
    (folder / name).touch(0o600)
    os.chown(folder / name, STRANGER, STRANGER)
    with pytest.raises((SpoolError, StoreError), match=f"it is of user {STRANGER}"):
        OPEN[kind](folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
@pytest.mark.parametrize("kind", OPEN)
def test_a_folder_of_a_stranger_is_refused(kind: str, folder: Path) -> None:
    os.chown(folder, STRANGER, STRANGER)
    with pytest.raises((SpoolError, StoreError), match=f"it is of user {STRANGER}"):
        OPEN[kind](folder)
    with pytest.raises(AuthenticationError, match=f"it is of user {STRANGER}; run: chown"):
        check_private(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
@pytest.mark.parametrize("name", ["ca.key", "devices", "."])
def test_keys_of_a_stranger_are_refused(name: str, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    init_keys(keys)
    os.chown(keys / name, STRANGER, STRANGER)
    with pytest.raises(AuthenticationError, match=f"it is of user {STRANGER}"):
        init_keys(keys)


@pytest.mark.parametrize("kind", OPEN)
def test_a_folder_that_anybody_may_write_is_refused(kind: str, folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.raises((SpoolError, StoreError), match="that others cannot write, got mode 0777"):
        OPEN[kind](folder)


def test_a_sticky_folder_such_as_tmp_is_taken(folder: Path) -> None:
    folder.chmod(0o1777)
    check_folder(folder)


def test_a_lock_is_held_by_one_and_ends_with_its_process(folder: Path) -> None:
    path = folder / "lock"
    code = (
        "import sys, pathlib; from mastra_ros.private_files import lock\n"
        "assert lock(pathlib.Path(sys.argv[1])) is not None\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert lock(path) is None
        holder.kill()
        holder.wait(30)
    held = lock(path)
    assert held is not None
    os.close(held)


def test_opening_changes_nothing_in_a_file(folder: Path) -> None:
    path = folder / "file"
    path.write_text("as it was")
    os.close(open_private(path))
    assert path.read_text() == "as it was"


def test_only_a_regular_file_of_bounded_size_is_read_where_somebody_names_one(
    tmp_path: Path,
) -> None:
    good, large = tmp_path / "good", tmp_path / "large"
    good.write_bytes(b"1234")
    large.write_bytes(b"12345")
    (tmp_path / "link").symlink_to(good)
    os.mkfifo(tmp_path / "pipe")
    with os.fdopen(open_named(good, 4), "rb") as file:
        assert file.read() == b"1234"
    odd = [large, *(tmp_path / name for name in ("link", "pipe", "missing", ".", "a\0b"))]
    for path in (*odd, Path("/dev/zero")):
        with pytest.raises(OSError):  # noqa: PT011 - each has another text
            open_named(path, 4)
