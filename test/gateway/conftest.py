"""A real gateway process with a tiny model, and devices that speak to it over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from websockets.asyncio.client import ClientConnection, connect

from mastra_ros.compression import Encoder
from mastra_ros.config import CompressionConfig, GatewayConfig
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol import (
    Ack,
    Event,
    FrameMessage,
    Message,
    Opened,
    ResultMessage,
    Role,
    Send,
    Session,
)
from mastra_ros.protocol.keys import add_device, init_keys, load_device_key
from mastra_ros.protocol.tls import client_context
from mastra_ros.protocol.tokens import sign_token
from mastra_ros.types import Frame, FrameKey

DEADLINE_S = 30.0
AUDIENCE = "mastra-gateway"
SIDE_PX = 64
STRIDE_PX = 8


SMALL: dict[str, Any] = {
    "message_bytes_max": 100_000,
    "body_bytes_max": 1_000_000,
    "in_flight_max": 4,
    "pixels_max": 1_000_000,
    "batch_delay_ms": 1.0,
}


def write_model(path: Path) -> None:
    """Float [n, 1, 64, 64] -> `scores` and `boxes`: finds white cells of 8x8 px as `spot`."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: no model to serve")
    from onnx import TensorProto, helper, numpy_helper

    cells = (SIDE_PX // STRIDE_PX) ** 2
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Reshape", ["pooled", "rows"], ["means"]),
        helper.make_node("Mul", ["means", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "bias"], ["scores"]),
        helper.make_node("MatMul", ["means", "nothing"], ["zeros"]),
        helper.make_node("Add", ["zeros", "half"], ["boxes"]),
    ]
    values = {
        "rows": np.array([0, cells, 1], np.int64),
        "slope": np.float32(40.0).reshape(1),
        "bias": np.float32(-28.0).reshape(1),
        "nothing": np.zeros((1, 4), np.float32),
        "half": np.full(4, 0.5, np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "white_cells",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, SIDE_PX, SIDE_PX])],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", cells, 1]),
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["n", cells, 4]),
        ],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle with the tiny model."""
    folder = tmp_path_factory.mktemp("white_cells")
    write_model(folder / "cloud.onnx")
    document = {
        "format": 1,
        "name": "white_cells",
        "version": "1.0.0",
        "task": "detection",
        "labels": ["spot"],
        "input": {
            "width_px": SIDE_PX,
            "height_px": SIDE_PX,
            "colour": "gray",
            "resize": "letterbox",
            "pad_value": 0,
            "mean": [0.0],
            "std": [255.0],
        },
        "output": {"kind": "anchor_free", "stride_px": STRIDE_PX, "nms_iou": 0.4},
        "parts": {
            "cloud": {
                "file": "cloud.onnx",
                "engine": "onnxruntime",
                "sha256": hashlib.sha256((folder / "cloud.onnx").read_bytes()).hexdigest(),
                "model": "white_cells_cloud",
                "version": "1.2.3",
                "score_threshold": 0.4,
            }
        },
    }
    (folder / "bundle.yaml").write_text(yaml.safe_dump(document))
    return folder


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of keys with the devices cam-1 (Ed25519) and cam-2 (P-256)."""
    folder = tmp_path_factory.mktemp("gateway") / "keys"
    init_keys(folder)
    add_device(folder, "cam-1")
    add_device(folder, "cam-2", "p256")
    return folder


@pytest.fixture(scope="session")
def start_gateway(keys: Path, bundle: Path) -> Iterator[Callable[..., EmbeddedGateway]]:
    """Starts gateways with parameters of the test's choice; all are stopped at the end."""
    started: list[EmbeddedGateway] = []

    def start(state_dir: Path | None = None, **parameters: Any) -> EmbeddedGateway:
        config = GatewayConfig(**parameters)
        gateway = EmbeddedGateway(keys, [str(bundle)], state_dir=state_dir, config=config)
        started.append(gateway)
        return gateway.start()

    yield start
    for gateway in started:
        gateway.stop()


@pytest.fixture(scope="session")
def gateway(start_gateway: Callable[..., EmbeddedGateway]) -> EmbeddedGateway:
    """A gateway that the tests share, with small limits."""
    return start_gateway(**SMALL)


@pytest.fixture(scope="session")
def gateway_of_two(start_gateway: Callable[..., EmbeddedGateway]) -> EmbeddedGateway:
    """One like it, with a process beside it."""
    return start_gateway(**SMALL, processes=2)


@pytest.fixture(scope="session")
def tls(keys: Path) -> ssl.SSLContext:
    """What a device trusts."""
    return client_context(keys / "ca.crt")


def board(*spots: tuple[int, int]) -> np.ndarray:
    """A black picture with white cells at (column, row)."""
    image = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    for column, row in spots:
        image[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8] = 255
    return image


class Socket:
    """A WebSocket used from a test, while an event loop in another thread does the work.

    The synchronous client of `websockets` reads and writes one TLS connection in two threads,
    which loses data now and then on Pythons whose `ssl` has no lock for that.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, opening: connect) -> None:
        self._loop = loop
        self._websocket: ClientConnection = self._run(self._open(opening))

    def send(self, data: bytes | str) -> None:
        self._run(self._websocket.send(data))

    def recv(self, timeout: float) -> bytes | str:
        return self._run(asyncio.wait_for(self._websocket.recv(), timeout))

    def close(self) -> None:
        self._run(self._websocket.close())

    @staticmethod
    async def _open(opening: connect) -> ClientConnection:
        return await opening

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * DEADLINE_S)


GATE = hiding_nothing("pictures made for this test")


class Device:
    """A device's end of a session; waits for answers with a deadline."""

    def __init__(self, websocket: Socket, device: str, stream: str) -> None:
        self.websocket = websocket
        self.session = Session(
            Role.DEVICE, device=device, stream=stream, now_ns=time.monotonic_ns()
        )
        self.stream = stream
        self.encoder = Encoder(CompressionConfig(codec="png"), stream)
        self._events: list[Event] = []

    def open(self) -> Opened:
        self.websocket.send(self.session.hello(time.monotonic_ns()))
        return self.expect(Opened)

    def packet(self, stamp_ns: int, image: np.ndarray, **options: Any) -> FrameMessage:
        frame = Frame(FrameKey(self.stream, stamp_ns), image, "mono8")
        return FrameMessage.from_packet(self.encoder.encode(GATE.clear(frame), **options))

    def send(self, message: Message) -> None:
        self.websocket.send(self.session.send(message, time.monotonic_ns()))

    def infer(self, stamp_ns: int, image: np.ndarray, **options: Any) -> tuple[ResultMessage, Ack]:
        """Send a frame and wait for its result and acknowledgement."""
        self.send(self.packet(stamp_ns, image, **options))
        return self.answer(stamp_ns)

    def answer(self, stamp_ns: int) -> tuple[ResultMessage, Ack]:
        result = self.expect(ResultMessage, stamp_ns)
        ack = self.expect(Ack, stamp_ns)
        self.encoder.acknowledge(stamp_ns)
        return result, ack

    def expect(self, kind: type, stamp_ns: int | None = None) -> Any:
        """The next event of this kind; others are kept for later."""
        deadline_s = time.monotonic() + DEADLINE_S
        while True:
            for event in self._events:
                if isinstance(event, kind) and stamp_ns in (None, getattr(event, "stamp_ns", 0)):
                    self._events.remove(event)
                    return event
            data = self.websocket.recv(timeout=max(0.0, deadline_s - time.monotonic()))
            assert isinstance(data, bytes)
            for event in self.session.receive(data, time.monotonic_ns()):
                if isinstance(event, Send):
                    self.websocket.send(event.data)
                else:
                    self._events.append(event)


@pytest.fixture(scope="session")
def client_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def connect_device(
    keys: Path, tls: ssl.SSLContext, client_loop: asyncio.AbstractEventLoop
) -> Iterator[Callable[..., Device]]:
    """Connects devices to a gateway; the connections are closed after the test."""
    stack = contextlib.ExitStack()

    def connect_one(
        gateway: EmbeddedGateway,
        device: str = "cam-1",
        stream: str = "main",
        *,
        token: str | None = None,
        port: int = 0,
        greet: bool = True,
    ) -> Device:
        if token is None:
            token = sign_token(device, load_device_key(keys, device), AUDIENCE)
        opening = connect(
            f"wss://127.0.0.1:{port or gateway.port}/v1/stream",
            ssl=tls,
            additional_headers={"Authorization": f"Bearer {token}"},
            compression=None,
            proxy=None,
            open_timeout=DEADLINE_S,
            close_timeout=1.0,
            ping_interval=None,
            max_size=None,
        )
        websocket = stack.enter_context(contextlib.closing(Socket(client_loop, opening)))
        made = Device(websocket, device, stream)
        if greet:
            made.open()
        return made

    with stack:
        yield connect_one


@pytest.fixture(scope="session")
def picture() -> Callable[..., np.ndarray]:
    """Makes a picture with white cells at (column, row)."""
    return board


@pytest.fixture(scope="session")
def http(
    gateway: EmbeddedGateway, keys: Path, tls: ssl.SSLContext
) -> Iterator[Callable[..., httpx.Response]]:
    """Makes requests to the shared gateway, with a token of cam-1 unless told otherwise."""
    token_of_cam = sign_token("cam-1", load_device_key(keys, "cam-1"), AUDIENCE)
    with httpx.Client(base_url=gateway.url, verify=tls, timeout=DEADLINE_S) as client:

        def request(
            path: str, *, method: str = "GET", token: str = token_of_cam, **options: Any
        ) -> httpx.Response:
            if token and "headers" not in options:
                options["headers"] = {}
            if token and isinstance(options["headers"], dict):
                options["headers"].setdefault("Authorization", f"Bearer {token}")
            return client.request(method, path, **options)

        yield request


@pytest.fixture(scope="session")
def wait_for() -> Callable[..., None]:
    """Waits for a condition; the test fails when it does not come."""

    def wait(condition: Callable[[], bool], what: str) -> None:
        until_s = time.monotonic() + 2 * DEADLINE_S
        while not condition():
            assert time.monotonic() < until_s, f"waited in vain for {what}"
            time.sleep(0.02)

    return wait
