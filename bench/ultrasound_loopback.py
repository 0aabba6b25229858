"""From the last frame of a sweep until volume, mesh and report are on the device, over loopback."""

from __future__ import annotations

import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.tiny_model import write_tiny_bundle
from mastra_ros.bridge import BridgeClient
from mastra_ros.bridge.clearing import NothingToHide
from mastra_ros.compression import Encoder
from mastra_ros.config import BridgeConfig, CompressionConfig, GatewayConfig
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.pipeline.ultrasound.phantom import DrawnFrame, Phantom, PhantomConfig
from mastra_ros.pipeline.ultrasound.region import Region
from mastra_ros.pipeline.ultrasound.sweep import SweepBegin, SweepEnd, TrackedFrame
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol.keys import add_device, init_keys
from mastra_ros.sets import SetFrame
from mastra_ros.types import Frame, FrameKey, Packet

Packets = list[tuple[float, TrackedFrame, Packet]]
GATE = hiding_nothing("a drawn phantom; it is of nobody")
ENDINGS = {
    *("points.msgpack", "nrrd", "slices.png", "coverage.png"),
    *("fhir.json", "pdf", "us.dcm", "sr.dcm"),
}
WITHIN_S = 120.0


def over_loopback(sweeps: int, phantom: PhantomConfig | None = None) -> list[dict[str, Any]]:
    """Sweeps at the pace of their probe, one after another.

    Of each: seconds from its last frame until each artefact is there, and until all are.
    """
    drawn = Phantom(phantom or PhantomConfig())
    frames = list(drawn.frames())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mastra-bench-")))
        init_keys(folder / "keys")
        add_device(folder / "keys", "probe")
        (folder / "bundle").mkdir()
        write_tiny_bundle(folder / "bundle")
        gateway = stack.enter_context(
            EmbeddedGateway(
                folder / "keys",
                (str(folder / "bundle"),),
                state_dir=folder / "state",
                config=GatewayConfig(applications=("ultrasound",)),
            )
        )
        arrivals = _Arrivals()
        client = BridgeClient(
            BridgeConfig(
                gateway=gateway.url.replace("https", "wss"),
                keys_dir=str(folder / "keys"),
                device="probe",
                stream="probe",
                spool_path=str(folder / "spool.sqlite"),
                artefacts_dir=str(folder / "artefacts"),
            ),
            on_result=lambda *_: None,
            on_failed=lambda *_: None,
            on_status=lambda *_: None,
            on_artefact=arrivals.add,
            clearer=NothingToHide(),
        )
        client.start()
        stack.callback(client.stop, 10.0)
        return [
            _timed(client, _packets(drawn.config, frames, f"bench-{number}"), arrivals)
            for number in range(sweeps)
        ]


class _Arrivals:
    """When each artefact has come, by its name."""

    def __init__(self) -> None:
        self.at_s: dict[str, float] = {}
        self._news = threading.Condition()

    def add(self, one: Any) -> None:
        """Called by the client, in its own thread."""
        with self._news:
            self.at_s[one.offer.name] = time.perf_counter()
            self._news.notify_all()

    def wait_for(self, names: set[str]) -> None:
        """Until all of them are there."""
        with self._news:
            if not self._news.wait_for(lambda: names <= set(self.at_s), WITHIN_S):
                raise TimeoutError(f"expected {sorted(names)} within {WITHIN_S:g} s")


def _timed(client: BridgeClient, packets: Packets, arrivals: _Arrivals) -> dict[str, Any]:
    _, first, _ = packets[0]
    ended_s = _sent(client, packets)
    arrivals.wait_for({f"{first.sweep}.{ending}" for ending in ENDINGS})
    times = {
        ending: round(arrivals.at_s[f"{first.sweep}.{ending}"] - ended_s, 3)
        for ending in sorted(ENDINGS)
    }
    return {"each_s": times, "on_device_s": max(times.values())}


def _packets(config: PhantomConfig, frames: list[DrawnFrame], sweep: str) -> Packets:
    """Every frame as it leaves a device, and when in the sweep, s."""
    region = Region((0, 0, config.width_px, config.height_px))
    side = (config.spacing_mm, config.spacing_mm)
    encoder = Encoder(CompressionConfig(codec="jpegls"), "probe")
    began_ns = time.time_ns()
    made = []
    for frame in frames:
        stamp_ns = began_ns + round(frame.stamp_s * 1e9)
        pose = tuple(frame.pose.ravel().tolist())
        tracked = TrackedFrame(sweep, frame.number + 1, stamp_ns, pose, "0" * 8, side, region)
        picture = Frame(FrameKey("probe", stamp_ns), frame.image, "mono8")
        packet = encoder.encode(GATE.clear(picture), late=True)
        packet = replace(packet, meta={"ultrasound": tracked.to_map()})
        made.append((frame.stamp_s, tracked, packet))
    return made


def _sent(client: BridgeClient, packets: Packets) -> float:
    """Send the whole sweep at its pace; when the last frame was sent."""
    _, first, packet = packets[0]
    size = (packet.width_px, packet.height_px)
    stamp_ns = first.stamp_ns
    client.send_record(
        SweepBegin(first.sweep, stamp_ns, *size, "0" * 8, first.spacing_mm, first.region).record()
    )
    begun_s = time.perf_counter()
    for at_s, one, told in packets:
        time.sleep(max(0.0, begun_s + at_s - time.perf_counter()))
        client.send_set_frame(SetFrame(one.sweep, one.sequence, told))
    ended_s = time.perf_counter()
    client.send_record(SweepEnd(first.sweep, time.time_ns(), len(packets)).record())
    return ended_s
