"""The CMake files of the wheels, after they were made to name this machine's folders."""

from __future__ import annotations

from pathlib import Path

from scripts.patch_wheels import patch_prefix

WHEEL = (
    'INTERFACE_INCLUDE_DIRECTORIES "${_IMPORT_PREFIX}/include/std_msgs;'
    "/opt/python/cp312-cp312/include/python3.12;"
    '/opt/python/cp312-cp312/lib/python3.12/site-packages/numpy/_core/include"'
)


def test_names_the_folders_of_this_python(tmp_path: Path) -> None:
    file = tmp_path / "share" / "std_msgs" / "cmake" / "export.cmake"
    file.parent.mkdir(parents=True)
    file.write_text(WHEEL)
    assert patch_prefix(tmp_path, "/usr/include/python3.12", "/venv/site") == 1
    assert file.read_text() == (
        'INTERFACE_INCLUDE_DIRECTORIES "${_IMPORT_PREFIX}/include/std_msgs;'
        '/usr/include/python3.12;/venv/site/numpy/_core/include"'
    )


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "share" / "std_msgs" / "cmake" / "export.cmake"
    file.parent.mkdir(parents=True)
    file.write_text(WHEEL)
    patch_prefix(tmp_path, "/usr/include/python3.12", "/venv/site")
    assert patch_prefix(tmp_path, "/usr/include/python3.12", "/venv/site") == 0
