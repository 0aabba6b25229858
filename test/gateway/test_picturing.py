"""The newest picture of a device, kept while somebody looks and no longer."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from mastra_ros.gateway import references as references_module
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.gateway.references import LOOK_S, References
from mastra_ros.protocol.clients import add_client, client_audience, load_client_key
from mastra_ros.protocol.tokens import sign_token
from mastra_ros.types import Frame, FrameKey


class PassingOn:
    """A decoder whose packets are frames already."""

    bytes_kept = 0

    def decode(self, packet: Any) -> Frame:
        return packet  # type: ignore[no-any-return]

    def forget_oldest(self) -> bool:
        return False


def test_a_frame_is_kept_while_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(references_module.time, "monotonic", lambda: now_s)
    kept = References(PassingOn, None, streams_max=9, bytes_max=1)  # type: ignore[arg-type]
    stream = kept.stream("cam-1", "main")

    def came(stamp_ns: int) -> None:
        image = np.zeros((2, 2), np.uint8)
        stream.decode(Frame(FrameKey("main", stamp_ns), image, "mono8"))  # type: ignore[arg-type]

    def seen() -> int:
        frame = kept.look("cam-1", now_s)
        return 0 if frame is None else frame.key.stamp_ns

    came(1)
    assert stream.newest is None
    assert seen() == 0
    came(2)
    assert seen() == 2
    came(1)  # a late one
    assert seen() == 2
    assert kept.look("cam-2", now_s) is None
    now_s += LOOK_S + 1
    assert seen() == 0, "what was kept when somebody looked before is old"
    came(3)
    assert seen() == 3
    now_s += LOOK_S + 1
    came(4)
    assert stream.newest is None


def test_a_client_sees_the_newest_picture_with_what_was_found(
    gateway: EmbeddedGateway,
    keys: Path,
    tls: ssl.SSLContext,
    http: Callable[..., httpx.Response],
    connect_device: Callable[..., Any],
    picture: Callable[..., np.ndarray],
) -> None:
    add_client(keys, "eye", "reader")
    token = sign_token("eye", load_client_key(keys, "eye"), client_audience(keys))
    path = "/v1/devices/cam-1/picture"
    device = connect_device(gateway, stream="seen")
    device.infer(1, picture((1, 1)))
    first = http(path, token=token)
    assert first.status_code in (200, 404)
    device.infer(2, picture((2, 2)))
    told = http(path, token=token)
    assert (told.status_code, told.headers["content-type"]) == (200, "image/jpeg")
    shown = cv2.imdecode(np.frombuffer(told.content, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (64, 64, 3)
    colours = shown.max(axis=2).astype(int) - shown.min(axis=2)
    assert colours.max() > 60, "a box is drawn"
    assert http(path).status_code == 200, "its own"
    assert http("/v1/devices/cam-2/picture").status_code == 403
    assert http("/v1/devices/cam-2/picture", token=token).status_code == 404
    assert http("/v1/devices/%2e%2e/picture", token=token).status_code == 404
