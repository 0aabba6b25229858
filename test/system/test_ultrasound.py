"""A sweep through cuts and deaths becomes the very volume of an undisturbed one, bit for bit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rclpy.node import Node

from bench.tiny_model import write_tiny_bundle
from mastra_ros.config import GatewayConfig
from mastra_ros.emulation import ShapingProxy, parse_faults
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.msg import LinkState
from mastra_ros.protocol.keys import add_device, init_keys

from .conftest import Run

pytest.importorskip("skimage", reason="pip install '.[medical]'")

FRAMES = 60
SOURCE = f"synthetic:ultrasound?seed=1&frames={FRAMES}&width=64&height=64&spacing=0.8&speed=30"
"""Two seconds over all of the phantom."""
SLOWLY, QUICKLY = ("--set", "probe.speed=0.5"), ("--set", "probe.speed=4.0")
NARROW = "rate=240kbit@0s"
"""Takes more than twice as long for the sweep as a slow one itself: where one stops when a fifth
has gone up, the sweep goes on, and frames are left, however late one notices."""
NAME = "the-same-sweep"


class Bedside:
    """A device with a folder and a link of its own, at a gateway of several."""

    def __init__(self, folder: Path, keys: Path, gateway: EmbeddedGateway, device: str) -> None:
        self.folder, self.keys, self.gateway = folder, keys, gateway
        self.device = device
        add_device(keys, device)
        self.spool = folder / "spool.sqlite"
        self.runs: list[Run] = []
        self.link = ShapingProxy("127.0.0.1", gateway.port)

    def __enter__(self) -> Bedside:
        self.link.start()
        return self

    def __exit__(self, *_: object) -> None:
        for run in self.runs:
            run.kill()
        self.link.stop()

    @property
    def carried_bytes(self) -> int:
        """What has gone up over the link, whatever has become of it."""
        return self.link.carried_bytes[0]

    def faults(self, text: str = "") -> None:
        """Of the link from now on; none: a good one."""
        self.link.set_faults(parse_faults(text))

    def run(self, *options: str) -> Run:
        folder = self.folder / f"run{len(self.runs)}"
        folder.mkdir()
        sets = {
            "bridge.device": self.device,
            "bridge.keys_dir": self.keys,
            "bridge.spool_path": self.spool,
            "bridge.artefacts_dir": self.folder / "artefacts",
            "ultrasound.sweep_name": NAME,
        }
        given = [part for name, value in sets.items() for part in ("--set", f"{name}={value}")]
        address = f"wss://127.0.0.1:{self.link.port}"
        self.runs.append(
            Run(
                folder,
                *("--source", SOURCE, "--gateway", address, *given, *options),
                pipeline="medical_ultrasound",
            )
        )
        return self.runs[-1]


class Waiting(Node):
    """Hears how many frames of sets wait on the device."""

    def __init__(self, **options: Any) -> None:
        super().__init__("watch", **options)
        self.frames = 0
        self.create_subscription(LinkState, "link", self._on_link, 100)

    def _on_link(self, message: Any) -> None:
        self.frames = message.set_frames


def volume_of(run: Run) -> str:
    """SHA-256 of the volume that came back, once the run has ended well."""
    assert run.wait() == 0, run.output
    report = run.report()
    files = report["artefacts"][NAME]
    return hashlib.sha256(Path(files["nrrd"]).read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, EmbeddedGateway]]:
    """Its keys, and the gateway, which every test leaves running."""
    folder = tmp_path_factory.mktemp("gateway")
    init_keys(folder / "keys")
    bundle = folder / "bundle"
    bundle.mkdir()
    write_tiny_bundle(bundle)
    config = GatewayConfig(applications=("ultrasound",), application_silence_s=300.0)
    state = folder / "state"
    with EmbeddedGateway(
        folder / "keys", (str(bundle),), state_dir=state, config=config
    ) as running:
        yield folder / "keys", running


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, gateway: tuple[Path, EmbeddedGateway]
) -> tuple[str, int]:
    """The volume, and how many bytes went up for it."""
    with Bedside(tmp_path_factory.mktemp("undisturbed"), *gateway, "undisturbed") as bedside:
        run = bedside.run(*QUICKLY)
        told = volume_of(run)
        carried = bedside.carried_bytes
    report = run.report()
    assert report["frames_told"] == FRAMES
    assert report["frames_refused"] == {}
    assert report["live"]["pictures"] > 0
    assert report["banner"] == "RESEARCH USE ONLY - NOT A MEDICAL DEVICE"
    assert {"nrrd", "points.msgpack", "fhir.json", "pdf", "sr.dcm"} <= set(
        report["artefacts"][NAME]
    )
    return told, carried


@pytest.fixture
def bedside(
    tmp_path: Path, gateway: tuple[Path, EmbeddedGateway], request: pytest.FixtureRequest
) -> Iterator[Bedside]:
    with Bedside(tmp_path, *gateway, request.node.name[5:40]) as made:
        made.faults(NARROW)
        yield made


@pytest.fixture
def waiting(spinning: Callable[..., Any]) -> Any:
    return spinning(Waiting)


@pytest.fixture
def in_mid_sweep(
    undisturbed: tuple[str, int], bedside: Bedside, wait_until: Callable[..., None]
) -> Callable[[], None]:
    """Waits until a fifth of all bytes of the sweep has gone up, and most of them have not."""
    _, whole = undisturbed

    def waited() -> None:
        wait_until(lambda: bedside.carried_bytes >= whole / 5, "a fifth of the sweep to go up")
        assert bedside.carried_bytes < 0.7 * whole

    return waited


def test_a_link_cut_in_mid_sweep_while_both_sides_live_makes_the_same_volume(
    undisturbed: tuple[str, int],
    bedside: Bedside,
    waiting: Waiting,
    in_mid_sweep: Callable[[], None],
    wait_until: Callable[..., None],
) -> None:
    run = bedside.run(*SLOWLY)
    in_mid_sweep()
    bedside.faults("down@0s")
    wait_until(lambda: waiting.frames >= FRAMES // 4, "frames that wait on the device")
    assert bedside.gateway.alive
    bedside.faults()
    assert volume_of(run) == undisturbed[0]


def test_a_gateway_killed_in_mid_sweep_makes_the_same_volume(
    undisturbed: tuple[str, int],
    bedside: Bedside,
    waiting: Waiting,
    in_mid_sweep: Callable[[], None],
    wait_until: Callable[..., None],
) -> None:
    run = bedside.run(*SLOWLY)
    in_mid_sweep()
    bedside.gateway.kill()
    wait_until(lambda: waiting.frames >= FRAMES // 4, "frames that wait on the device")
    bedside.faults()
    bedside.gateway.restart()
    assert volume_of(run) == undisturbed[0]


def test_a_device_killed_in_mid_sweep_and_swept_again_makes_the_same_volume(
    undisturbed: tuple[str, int], bedside: Bedside, in_mid_sweep: Callable[[], None]
) -> None:
    first = bedside.run(*SLOWLY)
    in_mid_sweep()
    first.kill()
    bedside.faults()
    assert volume_of(bedside.run(*QUICKLY)) == undisturbed[0]
