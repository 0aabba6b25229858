"""Choices on disk: what they depend on, bad files, folders that cannot be written, two writers."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mastra_ros.inference import Bundle, EngineOptions, load_bundle
from mastra_ros.inference.choosing import candidates
from mastra_ros.inference.choosing.candidates import Candidate, key_of, processor_of
from mastra_ros.inference.choosing.decide import Choice
from mastra_ros.inference.choosing.kept import choices_folder, load_choice, path_of, save_choice

CHOICE = Choice(Candidate("local", "openvino"), {"openvino on local": 2.8}, {"x": "crashed"})


@pytest.fixture
def key(bundle: Bundle) -> dict[str, Any]:
    return key_of(bundle, ("local",), EngineOptions())


def test_a_choice_is_found_again(key: dict[str, Any], tmp_path: Path) -> None:
    assert load_choice(tmp_path / "state", key) is None
    assert save_choice(tmp_path / "state", key, CHOICE)
    assert load_choice(tmp_path / "state", key) == CHOICE
    assert [path.suffix for path in (tmp_path / "state").iterdir()] == [".json"]


def test_another_bundle_processor_version_or_option_is_another_choice(
    bundle: Bundle, key: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_choice(tmp_path / "state", key, CHOICE)

    def is_known(changed: dict[str, Any]) -> bool:
        return load_choice(tmp_path / "state", changed) is not None

    assert is_known(key_of(bundle, ("local",), EngineOptions()))
    assert not is_known(key_of(bundle, ("local",), EngineOptions(threads=2)))
    assert not is_known(key_of(bundle, ("local", "cloud"), EngineOptions()))
    twice = replace(bundle, parts={**bundle.parts, "local": replace(bundle.part("local"), views=2)})
    assert not is_known(key_of(twice, ("local",), EngineOptions()))
    with monkeypatch.context() as patch:
        patch.setattr(candidates, "engine_version", lambda name: f"{name} 0.0")
        assert not is_known(key_of(bundle, ("local",), EngineOptions()))
    with monkeypatch.context() as patch:
        patch.setattr(candidates, "processor_of", lambda text: "another")
        assert not is_known(key_of(bundle, ("local",), EngineOptions()))
    with monkeypatch.context() as patch:
        patch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
        assert not is_known(key_of(bundle, ("local",), EngineOptions()))
    bundle.path.write_text(bundle.path.read_text() + "# changed\n")
    assert not is_known(key_of(load_bundle(str(bundle.path.parent)), ("local",), EngineOptions()))


def test_the_processors_digest_depends_on_its_flags_and_not_on_its_clock() -> None:
    one = "model name\t: X\ncpu MHz\t\t: 2600\nflags\t\t: avx2 avx512_vnni\n"
    assert processor_of(one) == processor_of(one.replace("2600", "3100"))
    assert processor_of(one) == processor_of(one + "processor : 1\n" + one)
    assert processor_of(one) != processor_of(one.replace(" avx512_vnni", ""))
    assert processor_of("") != processor_of(one)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"key": 1}', '{"part": "local"}', "\x00\xff"]
)
def test_a_damaged_file_is_said_and_measured_again(
    key: dict[str, Any], tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    path_of(tmp_path, key).write_text(content)
    with caplog.at_level(logging.WARNING):
        assert load_choice(tmp_path, key) is None
    assert len(caplog.records) <= 1
    assert save_choice(tmp_path, key, CHOICE)
    assert load_choice(tmp_path, key) == CHOICE


def test_a_file_of_other_conditions_under_this_name_does_not_count(
    key: dict[str, Any], tmp_path: Path
) -> None:
    save_choice(tmp_path, key, CHOICE)
    path = path_of(tmp_path, key)
    document = json.loads(path.read_text())
    document["key"]["processor"] = "another"
    path.write_text(json.dumps(document))
    assert load_choice(tmp_path, key) is None


def test_a_folder_that_cannot_be_written_is_one_warning_and_no_fault(
    key: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        assert not save_choice(tmp_path / "file" / "state", key, CHOICE)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "measured again" in caplog.text


WRITER = """
import json, sys
from pathlib import Path
from mastra_ros.inference.choosing.candidates import Candidate
from mastra_ros.inference.choosing.decide import Choice
from mastra_ros.inference.choosing.kept import load_choice, save_choice
folder, key, name = Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
times = {f"{name} {i}": float(i) for i in range(500)}
for _ in range(40):
    assert save_choice(folder, key, Choice(Candidate("local", name), times, {}))
    read = load_choice(folder, key)
    assert read is not None and len(read.times_ms) == 500, read
"""


def test_two_processes_that_choose_at_once_leave_one_whole_choice(
    key: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "state"
    names = ("litert", "openvino")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), json.dumps(key), name],
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for writer in writers:
        _, errors = writer.communicate()
        assert writer.returncode == 0, errors
    kept = load_choice(folder, key)
    assert kept is not None
    assert kept.candidate.engine in names
    assert len(list(folder.iterdir())) == 1


def test_choices_lie_where_they_are_told_to_or_in_the_users_state(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert choices_folder("") == tmp_path / "mastra" / "engines"
    assert choices_folder("/there") == Path("/there")
