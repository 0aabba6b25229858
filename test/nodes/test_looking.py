"""What somebody who looks at a device is shown, from its camera to the gateway."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.parameter import Parameter

from mastra_ros.bridge.fake_gateway import FakeGateway
from mastra_ros.compression import Decoder
from mastra_ros.msg import InferenceResult
from mastra_ros.nodes import convert, privacy
from mastra_ros.nodes.bridge import BridgeNode
from mastra_ros.nodes.compression import CompressionNode
from mastra_ros.nodes.lifecycle import RELIABLE
from mastra_ros.privacy import Gate, Opened, Region
from mastra_ros.protocol import FrameMessage, decode
from mastra_ros.protocol.keys import add_device, init_keys
from mastra_ros.protocol.pictures import EXTENSION, PicturePiece, PictureWish, PictureWithheld
from mastra_ros.types import Detections, Frame, FrameKey, Result, Route

HIDING: dict[str, Any] = {"finders": ["fake"]}


class Finder:
    """Finds one face, or raises."""

    name, digest = "fake", "0" * 64
    broken = False

    def find(self, _: Any) -> list[Region]:
        if self.broken:
            raise RuntimeError("the finder is broken")
        return [Region(8, 8, 32, 32, "face", 0.9)]

    def close(self) -> None:
        """Nothing to free."""


class Line:
    """The two nodes, and a camera whose every frame has a result."""

    def __init__(self, ros: Any, keys: Path, gateway: FakeGateway, **values: Any) -> None:
        self.gateway = gateway
        self.numbers = itertools.count(1)
        options = {**ros.options, "privacy": HIDING}
        self.compression = ros.add(CompressionNode(**options))
        values = {
            "gateway": gateway.uri,
            "keys_dir": str(keys),
            "spool_path": str(keys.parent / "spool.sqlite"),
            **values,
        }
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        self.bridge = ros.add(BridgeNode(parameter_overrides=overrides, **options))
        self.results = ros.node("around").create_publisher(InferenceResult, "result", RELIABLE)
        assert self.compression.autostart()
        assert self.bridge.autostart()

    @property
    def connected(self) -> bool:
        status = self.bridge.status
        return status is not None and status.link.connected

    def film(self) -> None:
        """A frame, and what was found in it."""
        key = FrameKey("main", next(self.numbers))
        image = np.random.default_rng(1).integers(90, 110, (96, 128), np.uint8)
        self.compression._on_frame(Frame(key, image, "mono8"))
        found = Detections(
            *(np.array([[60, 50, 100, 80]], np.float32), np.array([0.9], np.float32)),
            *(np.array([0], np.int32), ("bolt",)),
        )
        self.results.publish(convert.result_to_ros(Result(key, Route.LOCAL, found), "lens"))

    def heard(self, kind: type) -> list[Any]:
        return [message for message in self.gateway.heard if isinstance(message, kind)]

    def picture(self) -> np.ndarray | None:
        """The first one that is whole, as BGR."""
        pieces = [piece for piece in self.heard(PicturePiece) if piece.number == 1]
        body = b"".join(piece.data for piece in pieces)
        if not pieces or len(body) < pieces[0].size:
            return None
        message = decode(body)
        assert isinstance(message, FrameMessage)
        assert message.clearance == self.compression._gate.clearance
        return Decoder().decode(message.to_packet()).image

    def close(self) -> None:
        self.bridge.close()
        self.compression.close()


@pytest.fixture
def open_line(ros: Any, keys: Path, gateway: FakeGateway) -> Iterator[Callable[..., Line]]:
    made: list[Line] = []

    def open_one(**values: Any) -> Line:
        made.append(Line(ros, keys, gateway, **values))
        return made[-1]

    yield open_one
    for line in made:
        line.close()


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch) -> Finder:
    made = Finder()
    monkeypatch.setattr(
        privacy, "open_gate", lambda config, **how: Gate(config, lambda _: Opened([made]), **how)
    )
    return made


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    init_keys(folder)
    add_device(folder, "camera-1")
    return folder


@pytest.fixture
def gateway(keys: Path) -> Iterator[FakeGateway]:
    made = FakeGateway(keys)
    made.extensions = (EXTENSION,)
    with made:
        yield made


def test_who_looks_is_shown_the_masked_picture_with_what_was_found(
    open_line: Callable[..., Line],
    gateway: FakeGateway,
    finder: Finder,
    wait_until: Callable[..., None],
) -> None:
    line = open_line()
    shower = line.compression._shower
    wait_until(lambda: line.connected, "a link")
    for _ in range(20):
        line.film()
    assert shower.made == 0
    assert line.results.get_subscription_count() == 0, "nothing is heard of results"

    gateway.say(PictureWish(8000))
    wait_until(lambda: line.results.get_subscription_count() == 1, "hearing results")

    def shown() -> bool:
        line.film()
        return line.picture() is not None

    wait_until(shown, "a picture")
    picture = line.picture()
    assert picture is not None
    assert picture.shape == (96, 128, 3)
    colours = picture.max(axis=2).astype(int) - picture.min(axis=2)
    assert colours[50:80, 60:100].max() > 60, "a box is drawn"
    grain = picture[12:36, 12:36].astype(float).std(), picture[12:36, 100:124].astype(float).std()
    assert grain[0] < 0.5 * grain[1], "the face is hidden"
    # Whoever looks no more is shown nothing more, and results are heard no longer.
    gateway.say(PictureWish(0))
    wait_until(lambda: line.results.get_subscription_count() == 0, "the end of it")
    made = shower.made
    for _ in range(20):
        line.film()
    assert shower.made == made


def test_a_gate_that_is_broken_shows_nothing_and_says_so(
    open_line: Callable[..., Line],
    gateway: FakeGateway,
    finder: Finder,
    wait_until: Callable[..., None],
) -> None:
    finder.broken = True
    line = open_line()
    wait_until(lambda: line.connected, "a link")
    gateway.say(PictureWish(8000))

    def told() -> bool:
        line.film()
        return bool(line.heard(PictureWithheld))

    wait_until(told, "the reason")
    assert "the finder is broken" in line.heard(PictureWithheld)[0].text
    assert line.heard(PicturePiece) == []


def test_a_device_may_show_nothing_at_all(
    open_line: Callable[..., Line],
    gateway: FakeGateway,
    finder: Finder,
    wait_until: Callable[..., None],
) -> None:
    line = open_line(show_pictures=False)
    wait_until(lambda: line.connected, "a link")
    (session,) = gateway._connections.values()
    assert EXTENSION not in session.extensions
