"""A sweep through cuts and deaths becomes the very volume of an undisturbed one, bit for bit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rclpy.node import Node

from mastra_ros.config import GatewayConfig
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.msg import LinkState
from mastra_ros.protocol.keys import add_device, init_keys

from .conftest import Run

pytest.importorskip("skimage", reason="pip install '.[medical]'")

FRAMES = 60
SOURCE = f"synthetic:ultrasound?seed=1&frames={FRAMES}&width=64&height=64&spacing=0.8&speed=30"
"""Two seconds over all of the phantom."""
NAME = "the-same-sweep"
DEVICE = "ultrasound-1"


class Bedside:
    """A device and its gateway, each with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = folder / "keys"
        init_keys(self.keys)
        add_device(self.keys, DEVICE)
        self.spool = folder / "spool.sqlite"
        self.runs: list[Run] = []
        config = GatewayConfig(applications=("ultrasound",), application_silence_s=300.0)
        self.gateway = EmbeddedGateway(self.keys, state_dir=folder / "state", config=config)

    def run(self, *options: str) -> Run:
        folder = self.folder / f"run{len(self.runs)}"
        folder.mkdir()
        sets = {
            "bridge.keys_dir": self.keys,
            "bridge.spool_path": self.spool,
            "bridge.artefacts_dir": self.folder / "artefacts",
            "ultrasound.sweep_name": NAME,
        }
        given = [part for name, value in sets.items() for part in ("--set", f"{name}={value}")]
        address = self.gateway.url.replace("https", "wss")
        self.runs.append(
            Run(
                folder,
                *("--source", SOURCE, "--gateway", address, *given, *options),
                pipeline="medical_ultrasound",
            )
        )
        return self.runs[-1]


class Link(Node):
    """Hears what the bridge says of the frames of sets."""

    def __init__(self, **options: Any) -> None:
        super().__init__("watch", **options)
        self.waiting = self.delivered = 0
        self.create_subscription(LinkState, "link", self._on_link, 100)

    def _on_link(self, message: Any) -> None:
        self.waiting = message.set_frames
        self.delivered = message.set_frames_delivered


def volume_of(run: Run) -> str:
    """SHA-256 of the volume that came back, once the run has ended well."""
    assert run.wait() == 0, run.output
    report = run.report()
    files = report["artefacts"][NAME]
    return hashlib.sha256(Path(files["nrrd"]).read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    bedside = Bedside(tmp_path_factory.mktemp("undisturbed"))
    with bedside.gateway:
        run = bedside.run()
        told = volume_of(run)
    report = run.report()
    assert report["frames_told"] == FRAMES
    assert report["frames_refused"] == {}
    assert report["live"]["pictures"] > 0
    assert report["banner"] == "RESEARCH USE ONLY - NOT A MEDICAL DEVICE"
    assert {"nrrd", "points.msgpack", "fhir.json", "pdf", "sr.dcm"} <= set(
        report["artefacts"][NAME]
    )
    return told


@pytest.fixture
def bedside(tmp_path: Path) -> Any:
    made = Bedside(tmp_path)
    with made.gateway:
        yield made
    for run in made.runs:
        run.kill()


@pytest.fixture
def link(spinning: Callable[..., Any]) -> Any:
    return spinning(Link)


def test_a_link_cut_by_the_death_of_the_gateway_in_mid_sweep_makes_the_same_volume(
    undisturbed: str, bedside: Bedside, link: Link, wait_until: Callable[..., None]
) -> None:
    run = bedside.run()
    wait_until(lambda: link.delivered >= FRAMES // 6, "the first frames at the gateway")
    bedside.gateway.kill()
    wait_until(lambda: link.waiting >= FRAMES // 4, "frames that wait on the device")
    bedside.gateway.restart()
    assert volume_of(run) == undisturbed


def test_a_device_killed_in_mid_sweep_and_swept_again_makes_the_same_volume(
    undisturbed: str, bedside: Bedside, link: Link, wait_until: Callable[..., None]
) -> None:
    first = bedside.run()
    wait_until(lambda: link.delivered >= FRAMES // 6, "the first frames at the gateway")
    bedside.gateway.kill()
    wait_until(lambda: link.waiting >= FRAMES // 4, "frames that wait on the device")
    first.kill()
    bedside.gateway.restart()
    assert volume_of(bedside.run()) == undisturbed
