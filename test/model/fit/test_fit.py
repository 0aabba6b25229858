"""Whether a model fits a microcontroller is found by running it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mastra_ros.cli import main as cli
from mastra_ros.errors import ConfigError, MastraError, ModelError
from mastra_ros.model.fit.fit import check_int8, fit, macs, target_named
from mastra_ros.model.fit.targets import TARGETS
from mastra_ros.model.tflite_file import read_model

SHIPPED = Path(__file__).resolve().parents[3] / "models" / "board_defects" / "local.tflite"


@pytest.fixture
def shipped() -> Path:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    if not SHIPPED.is_file():
        pytest.skip("the shipped bundle is not there")
    return SHIPPED


def test_every_target_names_its_sources_and_an_unknown_one_is_refused() -> None:
    for target in TARGETS.values():
        assert target.sources
        assert "" in target.cycles_per_mac
        assert target.ram_bytes <= target.ram_total_bytes
    with pytest.raises(ConfigError, match="stm32h7"):
        target_named("abacus")


def test_multiplications_are_counted_by_operator(shipped: Path) -> None:
    counted = macs(read_model(shipped))
    assert counted["CONV_2D"] > 100_000_000
    check_int8(shipped)


def test_what_is_no_model_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.tflite"
    path.write_bytes(b"these are not weights")
    with pytest.raises(ModelError, match="not a TensorFlow Lite model"):
        fit(path, TARGETS["stm32h7"])
    with pytest.raises(ModelError, match="cannot be read"):
        fit(tmp_path / "missing.tflite", TARGETS["stm32h7"])


def test_the_board_detector_is_too_large_for_a_microcontroller(
    shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed")
    out = tmp_path / "fit.json"
    assert cli.main(["model", "fit", str(shipped.parent), "--json", str(out)]) == 1
    assert "does not fit STM32H743ZI" in capsys.readouterr().out
    found = json.loads(out.read_text())
    assert found["arena_bytes"] > TARGETS["stm32h7"].ram_bytes
    assert found["unsupported"] == []


def test_without_tflm_it_says_how_to_install_it(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MastraError, match="pip install tflite-micro"):
        fit(shipped, TARGETS["stm32h7"])
