"""`mastra gateway`: what its arguments come to; the server itself is tested in test/gateway."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mastra_ros.cli.gateway import config_of
from mastra_ros.cli.main import main, verb_parser
from mastra_ros.config import GatewayConfig


def parse(*arguments: str) -> argparse.Namespace:
    return verb_parser("gateway").parse_args(arguments)


def test_without_arguments_the_defaults_count() -> None:
    assert config_of(parse()) == GatewayConfig()


def test_arguments_come_before_settings_and_those_before_the_file(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text(
        "gateway:\n  ros__parameters:\n    port: 1\n    batch_size_max: 2\n    threads: 3\n"
    )
    settings = ["--set", "gateway.batch_size_max=4", "--set", "gateway.port=5"]
    config = config_of(parse("--params", str(params), *settings, "--port", "6"))
    assert (config.port, config.batch_size_max, config.threads) == (6, 4, 3)


def test_all_arguments_have_their_parameter() -> None:
    config = config_of(
        parse("--keys", "k", "--host", "::1", "--state", "s", "--bundle", "a", "--bundle", "b")
    )
    assert (config.keys_dir, config.host, config.state_dir) == ("k", "::1", "s")
    assert config.bundles == ("a", "b")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--set", "gateway.batch_size_max=0"], "expected 1 to 256"),
        (["--set", "gateway.colour=1"], "unknown parameter"),
        (["--set", "gateway"], "stage.parameter=value"),
        (["--port", "99999"], "expected 0 to 65535"),
        (["--params", "/nowhere.yaml"], "cannot be read"),
        ([], "give --keys DIR or set MASTRA_KEYS"),
        (["--keys", "/nowhere"], "No such file"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    arguments: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MASTRA_KEYS", raising=False)
    assert main(["gateway", *arguments]) in (1, 2)
    shown = capsys.readouterr().err
    assert shown.splitlines()[-1].startswith("mastra: ")
    assert complaint in shown


def test_missing_packages_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mastra_ros.errors import DependencyError

    def serve(*_: Any, **__: Any) -> Callable[..., Any]:
        raise DependencyError("No module named 'granian': pip install granian")

    monkeypatch.setattr("mastra_ros.gateway.server.serve", serve)
    assert main(["gateway", "--keys", "k"]) == 1
    assert "pip install granian" in capsys.readouterr().err
