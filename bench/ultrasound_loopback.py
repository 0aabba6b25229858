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
from mastra_ros.pipeline.ultrasound.phantom import Phantom, PhantomConfig
from mastra_ros.pipeline.ultrasound.region import Region
from mastra_ros.pipeline.ultrasound.sweep import SweepBegin, SweepEnd, TrackedFrame
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol.keys import add_device, init_keys
from mastra_ros.sets import SetFrame
from mastra_ros.types import Frame, FrameKey, Packet

GATE = hiding_nothing("a drawn phantom; it is of nobody")
SWEEP = "bench"
ENDINGS = {
    *("points.msgpack", "nrrd", "slices.png", "coverage.png"),
    *("fhir.json", "pdf", "us.dcm", "sr.dcm"),
}
WITHIN_S = 120.0


def over_loopback(phantom: PhantomConfig | None = None) -> dict[str, Any]:
    """The sweep at the pace of its probe; seconds until each artefact is there, and of all."""
    drawn = Phantom(phantom or PhantomConfig())
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
        there: dict[str, float] = {}
        whole = threading.Event()

        def received(one: Any) -> None:
            ending = one.offer.name.removeprefix(f"{SWEEP}.")
            there[ending] = time.perf_counter()
            if set(there) >= ENDINGS:
                whole.set()

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
            on_artefact=received,
            clearer=NothingToHide(),
        )
        client.start()
        stack.callback(client.stop, 10.0)
        ended_s = _swept(client, drawn)
        if not whole.wait(WITHIN_S):
            raise TimeoutError(f"expected {sorted(ENDINGS)} within {WITHIN_S:g} s, got {there}")
        times = {name: round(there[name] - ended_s, 3) for name in sorted(ENDINGS)}
        return {"each_s": times, "on_device_s": max(times.values())}


def _swept(client: BridgeClient, drawn: Phantom) -> float:
    """Send the whole sweep; when the last frame was sent."""
    config = drawn.config
    region = Region((0, 0, config.width_px, config.height_px))
    side = (config.spacing_mm, config.spacing_mm)
    encoder = Encoder(CompressionConfig(codec="jpegls"), "probe")
    packets: list[tuple[int, float, Packet]] = []
    began_ns = time.time_ns()
    for frame in drawn.frames():
        number = frame.number + 1
        stamp_ns = began_ns + round(frame.stamp_s * 1e9)
        pose = tuple(frame.pose.ravel().tolist())
        tracked = TrackedFrame(SWEEP, number, stamp_ns, pose, "0" * 8, side, region)
        picture = Frame(FrameKey("probe", stamp_ns), frame.image, "mono8")
        made = encoder.encode(GATE.clear(picture), late=True)
        packet = replace(made, meta={"ultrasound": tracked.to_map()})
        packets.append((number, frame.stamp_s, packet))
    size = (config.width_px, config.height_px)
    client.send_record(SweepBegin(SWEEP, began_ns, *size, "0" * 8, side, region).record())
    begun_s = time.perf_counter()
    for number, at_s, packet in packets:
        time.sleep(max(0.0, begun_s + at_s - time.perf_counter()))
        client.send_set_frame(SetFrame(SWEEP, number, packet))
    ended_s = time.perf_counter()
    client.send_record(SweepEnd(SWEEP, time.time_ns(), len(packets)).record())
    return ended_s
