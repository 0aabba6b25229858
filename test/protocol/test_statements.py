"""A device signs what it states; nothing else passes, and no statement is a token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mastra_ros.errors import AuthenticationError
from mastra_ros.protocol.keys import add_device, init_keys, load_device_key, load_public_keys
from mastra_ros.protocol.statements import read_statement, sign_statement
from mastra_ros.protocol.tokens import sign_token, verify_token

CONTENT = {"privacy": {"sent": 5, "masked": 2, "withheld": 1}}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("statements") / "keys"
    init_keys(folder)
    add_device(folder, "camera-1")
    add_device(folder, "camera-2", algorithm="p256")
    return folder


@pytest.mark.parametrize("device", ["camera-1", "camera-2"])
def test_a_statement_is_read_with_the_public_key_of_its_device(keys: Path, device: str) -> None:
    signed = sign_statement(device, load_device_key(keys, device), CONTENT)
    assert read_statement(signed, load_public_keys(keys)) == (device, CONTENT)


def test_whatever_was_changed_is_refused(keys: Path) -> None:
    signed = sign_statement("camera-1", load_device_key(keys, "camera-1"), CONTENT)
    public = load_public_keys(keys)
    head, body, seal = signed.split(".")
    other = sign_statement("camera-1", load_device_key(keys, "camera-1"), {"privacy": {}})
    texts: list[Any] = ["", "a.b.c", f"{head}.{other.split('.')[1]}.{seal}", f"{head}.{body}.", 5]
    for text in texts:
        with pytest.raises(AuthenticationError):
            read_statement(text, public)
    with pytest.raises(AuthenticationError):  # signed by another than it says
        read_statement(sign_statement("camera-2", load_device_key(keys, "camera-1"), {}), public)


def test_a_statement_is_no_token_and_a_token_no_statement(keys: Path) -> None:
    key, public = load_device_key(keys, "camera-1"), load_public_keys(keys)
    with pytest.raises(AuthenticationError):
        verify_token(sign_statement("camera-1", key, CONTENT), public, "mastra-gateway")
    with pytest.raises(AuthenticationError):
        read_statement(sign_token("camera-1", key, "mastra-gateway"), public)
