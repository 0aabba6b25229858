"""The section privacy: nobody outside sets it, and the word off is what people write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mastra_ros.bridge.settings import RemoteSettings
from mastra_ros.config import PrivacyConfig, check_remote, parameters_of
from mastra_ros.config.files import apply_sets, check, load_parameters
from mastra_ros.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
NAMES = list(parameters_of(PrivacyConfig))
VALUES: dict[str, list[Any]] = {
    "mode": ["off", False, "whole"],
    "reason": ["a gateway says so"],
    "features": ["allow", "measured"],
    "features_bundle": ["/tmp/forged"],
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spelled", ["privacy.{}", "compression.privacy.{}", "/privacy.{}"])
def test_no_gateway_sets_anything_of_it(name: str, spelled: str) -> None:
    default = parameters_of(PrivacyConfig)[name].default
    assert not parameters_of(PrivacyConfig)[name].live
    for value in [*VALUES.get(name, []), default]:
        asked = spelled.format(name)
        with pytest.raises(ConfigError, match="expected stage"):
            check_remote(asked, value)
        settings = RemoteSettings()
        settings.take({asked: value}, 1)
        assert settings.refused == 1
        assert not list(settings.waiting(2))


@pytest.mark.parametrize("word", ["off", '"off"', "false", "no"])
def test_off_is_off_however_yaml_reads_the_word(tmp_path: Path, word: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(f"/**/privacy:\n  ros__parameters: {{mode: {word}, reason: boards}}\n")
    if word == "no":  # not a word for a mode, but YAML takes it for the same
        assert yaml.safe_load("no") is False
    config = check(load_parameters(file))["privacy"]
    assert isinstance(config, PrivacyConfig)
    assert config.mode == "off"


def test_off_without_a_reason_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("/**/privacy:\n  ros__parameters: {mode: off}\n")
    with pytest.raises(ConfigError, match=r"privacy\.mode: off hides nothing.*reason"):
        load_parameters(file)
    assert apply_sets({}, ["privacy.mode=off", "privacy.reason=boards"])["privacy"]


def test_what_is_shipped_says_off_with_a_reason() -> None:
    shipped = load_parameters(ROOT / "config/factory_inspection.yaml")["privacy"]
    assert shipped["mode"] == "off"
    assert len(shipped["reason"]) > 10
