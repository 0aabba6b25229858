"""The file of prices: read, checked, and every mistake named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mastra_ros.errors import ConfigError
from mastra_ros.planning import load_prices
from mastra_ros.share import share_file


@pytest.fixture
def content() -> Any:
    return yaml.safe_load(share_file("config/prices.yaml").read_text("utf-8"))


def written(folder: Path, content: Any) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(content), "utf-8")
    return path


def test_the_installed_file_is_read_and_dated(tmp_path: Path, content: Any) -> None:
    prices = load_prices(written(tmp_path, content))
    assert prices == load_prices(share_file("config/prices.yaml"))
    assert len(prices.as_of) == 10
    assert prices.device_with_model.price > prices.device_without_model.price


def test_the_installed_file_says_that_its_prices_are_assumptions() -> None:
    text = share_file("config/prices.yaml").read_text("utf-8")
    assert "assumption" in text
    assert "none is a quotation" in text


def test_every_mistake_is_named_at_once(tmp_path: Path, content: Any) -> None:
    content["server"]["price_hour"] = -1
    content["server"]["gpus"] = 2
    content["device_with_model"].pop("power_w")
    content["traffic"] = 3
    content["load_max"] = "high"
    content["escalation"] = [[0, 0], [0.5, 0.4], [1, 0.3]]
    content["as_of"] = "lately"
    content["discount"] = 1
    path = written(tmp_path, content)
    with pytest.raises(ConfigError) as caught:
        load_prices(path)
    for complaint in (
        str(path),
        "server.price_hour: expected 0 to 10000, got -1",
        "server.gpus: unknown field",
        "device_with_model.power_w: expected",
        "traffic: expected a mapping, got 3",
        "load_max: expected 0.05 to 1, got 'high'",
        "escalation: expected pairs that rise",
        "as_of: expected a date",
        "discount: unknown field",
    ):
        assert complaint in str(caught.value)


@pytest.mark.parametrize("text", ["- 1\n", "a: [\n", ""])
def test_what_is_no_mapping_is_one_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        load_prices(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_prices(tmp_path / "missing.yaml")


def test_the_curve_of_escalation_is_read_both_ways(tmp_path: Path, content: Any) -> None:
    content["escalation"] = [[0, 0], [0.1, 0.5], [0.3, 0.9], [1, 1]]
    prices = load_prices(written(tmp_path, content))
    for share, gain in ((0.0, 0.0), (0.05, 0.25), (0.2, 0.7), (1.0, 1.0)):
        assert prices.gain_of(share) == pytest.approx(gain)
        assert prices.share_for(gain) == pytest.approx(share)
