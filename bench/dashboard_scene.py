"""A gateway, devices that tell made-up statuses, and the dashboard: for tests, pictures, numbers.

The gateway and the dashboard are the real processes, and the devices the real bridge; what the
devices tell is written by `status()`.
"""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bench.tiny_model import write_tiny_bundle
from mastra_ros.bridge import BridgeClient, BridgeStatus
from mastra_ros.bridge.artefacts import Received
from mastra_ros.bridge.clearing import NothingToHide
from mastra_ros.bridge.pictures import ShownPictures
from mastra_ros.compression import Encoder
from mastra_ros.compression.view import encode_view
from mastra_ros.config import BridgeConfig, CompressionConfig, GatewayConfig
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol.clients import add_client
from mastra_ros.protocol.keys import add_device, init_keys
from mastra_ros.types import Frame, FrameKey

NAME, PASSWORD = "ada", "correct horse battery"
VIEWER = "vera"
READY_S = 120.0
BUNDLE = {"name": "board_defects", "digest": "3f2a9c41d7e0"}
"""What devices have at first."""
ROLLED = "tiny-2"
"""A bundle that may be rolled out."""
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)

BAND = """() => [...document.querySelectorAll('canvas')].some(canvas => {
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let found = 0;
  for (let at = 0; at < pixels.length; at += 4)
    if (pixels[at] > 190 && pixels[at + 1] > 70 && pixels[at + 1] < 115 && pixels[at + 2] < 25
        && pixels[at + 3] > 30 && pixels[at + 3] < 130) found += 1;
  return found > 50;
})"""
"""Whether a chart has a band of the colour of cuts."""


class ScriptedDevice:
    """A device that tells what it is told to tell; `heard` is what the gateway has asked of it."""

    def __init__(self, gateway: str, keys: Path, name: str, folder: Path) -> None:
        self.name = name
        self.heard: list[tuple[float, Mapping[str, Any]]] = []
        self.status: BridgeStatus | None = None
        self.bundle: dict[str, Any] = {}
        """As it is told in statuses, once it is set; `takes` sets it to what is rolled out."""
        self.takes = True
        self.offered: list[str] = []
        """The roll-outs that it was given something of, by their marks."""
        self._folder = folder / f"{name}-bundles"
        config = BridgeConfig(
            gateway=gateway,
            keys_dir=str(keys),
            device=name,
            spool_path=str(folder / f"{name}.sqlite"),
            artefacts_dir=str(folder / f"{name}-artefacts"),
            reconnect_delay_max_s=0.2,
        )
        self.looks = 0
        """How often the gateway has wished for pictures."""
        self.shown = ShownPictures(self._on_look)
        self._encoder = Encoder(CompressionConfig(codec="png"), "main")
        self._client = BridgeClient(
            config,
            on_result=lambda _: None,
            on_failed=lambda *_: None,
            on_status=self._on_status,
            clearer=NothingToHide(),
            on_settings=lambda values: self.heard.append((time.monotonic(), values)),
            on_artefact=self._on_artefact,
            pictures=self.shown,
        )

    def start(self) -> None:
        """Connect."""
        self._client.start()

    def show(self, image: NDArray[np.uint8]) -> None:
        """Send a picture."""
        frame = Frame(FrameKey("main", time.time_ns()), image, "mono8")
        packet = self._encoder.encode(hiding_nothing("made up").clear(frame))
        self._client.send(packet, 10_000.0)

    def show_who_looks(self, image: NDArray[np.uint8]) -> None:
        """A picture for who looks, where somebody does."""
        frame = Frame(FrameKey("main", time.time_ns()), image, "mono8")
        self.shown.send(encode_view(hiding_nothing("made up").clear(frame)))

    def tell(self, status: Mapping[str, Any]) -> None:
        """Send a status."""
        self._client.send_status({**status, "bundle": self.bundle} if self.bundle else status)

    def stop(self) -> None:
        """Disconnect."""
        self._client.stop(10.0)

    def _on_look(self, _: float) -> None:
        self.looks += 1

    def _on_artefact(self, received: Received) -> None:
        """Have the bundle in use that came, or the one before."""
        from mastra_ros.inference.packing import unpack_bundle

        offer = received.offer
        if self.takes and offer.media_type.startswith("application/zip"):
            bundle = unpack_bundle(received.path, self._folder)
            self.bundle = {"name": bundle.name, "digest": bundle.digest, "agreement": 0.98}
        elif self.takes:
            self.bundle = dict(BUNDLE)
        if self.takes:
            self.bundle["rollout"] = offer.version
        self.offered.append(offer.version)

    def _on_status(self, status: BridgeStatus) -> None:
        self.status = status

    @property
    def connected(self) -> bool:
        """Whether it has a session."""
        return self.status is not None and self.status.link.connected


class Scene:
    """The processes; a context manager. `url` is the dashboard's."""

    def __init__(
        self,
        folder: Path,
        devices: tuple[str, ...],
        *,
        absent: tuple[str, ...] = (),
        options: tuple[str, ...] = (),
    ) -> None:
        """devices: connect. absent: have a key alone. options: of the dashboard."""
        from mastra_ros.dashboard.people import People

        self._folder = folder
        self.keys = folder / "keys"
        init_keys(self.keys, own_audience=True)
        for name in (*devices, *absent):
            add_device(self.keys, name)
        add_client(self.keys, "dashboard", "operator")
        self.people = folder / "people.yaml"
        People(self.people).add(NAME, "operator", PASSWORD)
        People(self.people).add(VIEWER, "viewer", PASSWORD)
        self._names = devices
        self.devices: dict[str, ScriptedDevice] = {}
        self._options = options
        rollouts = folder / "rollouts"
        (rollouts / ROLLED).mkdir(parents=True)
        write_tiny_bundle(rollouts / ROLLED, part="local", version="2")
        config = GatewayConfig(rollouts_dir=str(rollouts))
        self.gateway = EmbeddedGateway(self.keys, state_dir=folder / "state", config=config)
        self.url = ""
        self.process: subprocess.Popen[str] | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Scene:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.gateway)
            for name in self._names:
                device = ScriptedDevice(
                    self.gateway.url.replace("https", "wss"), self.keys, name, self._folder
                )
                device.start()
                stack.callback(device.stop)
                self.devices[name] = device
            stack.enter_context(self._dashboard())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def _dashboard(self) -> Iterator[None]:
        command = [sys.executable, "-m", "mastra_ros.cli.main", "dashboard", "--port", "0"]
        command += ["--gateway", self.gateway.url, "--keys", str(self.keys)]
        command += ["--people", str(self.people), *self._options]
        with (self._folder / "dashboard.log").open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
            try:
                self.url = _ready(self.process.stdout)
                yield
            finally:
                self.process.terminate()
                self.process.wait(30)
                assert self.process.stdout is not None
                self.process.stdout.close()

    def wait_connected(self) -> None:
        """Wait until all devices are."""
        until_s = time.monotonic() + READY_S
        while not all(device.connected for device in self.devices.values()):
            if time.monotonic() > until_s:
                raise TimeoutError("the devices do not connect")
            time.sleep(0.02)

    @contextlib.contextmanager
    def telling(self, cut_from_s: float = math.inf, cut_to_s: float = math.inf) -> Iterator[None]:
        """All devices tell a status each second; the link is told as down between these times."""
        stop = threading.Event()

        def tell() -> None:
            began_s, was_cut = time.monotonic(), False
            while not stop.wait(1.0):
                passed_s = time.monotonic() - began_s
                cut = cut_from_s <= passed_s < cut_to_s
                for place, device in enumerate(self.devices.values()):
                    told = status(time.time(), place, cut=cut and place == 0)
                    if cut != was_cut and place == 0:
                        told["route"]["switches"] = [_switch(told["at_ns"], to_local=cut)]
                    device.tell(told)
                was_cut = cut

        thread = threading.Thread(target=tell, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def status(at_s: float, place: int = 0, *, cut: bool = False, **sections: Any) -> dict[str, Any]:
    """What a device may tell at this moment (s since 1970); `place` makes devices differ."""
    wave = math.sin(at_s / 7 + place)
    age_ms = 21.0 + wave if cut else 68.0 + 6 * wave
    told: dict[str, Any] = {
        "at_ns": int(at_s * 1e9),
        "route": {
            "now": "local" if cut else "cloud",
            "results": {"local": 20} if cut else {"local": 4, "cloud": 16},
            "shares": {"local": 1.0} if cut else {"local": 0.2, "cloud": 0.8},
            "age_ms": {"p50": age_ms, "p99": age_ms * 1.4},
        },
        "models": {
            "local": {"name": "board_defects_local", "inference_ms": {"p50": 18.2, "p99": 20.1}}
        },
        "link": {"connected": not cut},
        "load": {"cpu": 0.45 + 0.1 * wave, "memory": 0.38, "throttled": False},
        "spool": {"packets": 12 if cut else 0, "bytes": 0, "dropped": 0},
        "versions": {"mastra_ros": "0.1.0"},
        "bundle": dict(BUNDLE),
        "codecs": {"jpeg-80": {"packets": 16, "bytes": 400_000}},
    }
    if not cut:
        told["link"] |= {"rtt_ms": 38.0 + 4 * wave, "loss": 0.01, "goodput_bps": 18.4e6}
    if place % 2 == 0:  # the others have no sensor
        told["load"]["temperature_c"] = 61.0 + 3 * wave
    return {**told, **sections}


def _switch(at_ns: int, *, to_local: bool) -> dict[str, Any]:
    before, after = ("cloud", "local") if to_local else ("local", "cloud")
    reason = "the link is silent" if to_local else "the link is back"
    return {"at_ns": at_ns, "from": before, "to": after, "reason": reason}


def _ready(stream: IO[str] | None) -> str:
    assert stream is not None
    line = stream.readline()
    if not line.startswith("ready "):
        raise RuntimeError(f"the dashboard did not start: {line!r}")
    return line.removeprefix("ready ").strip()


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Debian's Chromium, without a window, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_OPTIONS))
        try:
            yield chromium
        finally:
            chromium.close()


def log_in(page: Any, url: str, name: str = NAME, password: str = PASSWORD) -> None:
    """Log in, as the operator of the scene."""
    page.goto(url)
    page.fill("#name", name)
    page.fill("#password", password)
    page.click("button[type=submit]")
    page.wait_for_selector("table")
