"""What records and artefacts cost live frames, over a link of 5 Mbit/s. See records.py."""

from __future__ import annotations

import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.tiny_model import write_tiny_bundle
from mastra_ros.artefacts import Artefact
from mastra_ros.bridge import BridgeClient, BridgeStatus
from mastra_ros.bridge.clearing import NothingToHide
from mastra_ros.compression import Encoder
from mastra_ros.config import BridgeConfig, CompressionConfig
from mastra_ros.emulation import ShapingProxy, parse_faults
from mastra_ros.gateway.applications.keeping import Keeping
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol.keys import add_device, init_keys
from mastra_ros.records import Record
from mastra_ros.types import Frame, FrameKey, Packet, Result

GATE = hiding_nothing("drawn pictures; nobody is on them")

LINK = "rate=5mbit@0s,delay=10ms@0s"
PERIOD_S = 0.1
DEADLINE_MS = 150.0
SIDE_PX = 128
"""Of a frame of noise: about 16 kB as PNG."""
RECORDS = 50_000
ARTEFACT_BYTES = 40_000_000


class Camera:
    """Makes packets with a whole picture that does not compress."""

    def __init__(self) -> None:
        self._image = np.random.default_rng(1).integers(0, 256, (SIDE_PX, SIDE_PX), np.uint8)
        self._encoder = Encoder(CompressionConfig(codec="png"), "live")

    def packet(self) -> Packet:
        frame = Frame(FrameKey("live", time.time_ns()), self._image, "mono8")
        return replace(self._encoder.encode(GATE.clear(frame), late=True), late=False)


class Live:
    """A device that sends frames at a steady pace, and how old their answers are."""

    def __init__(self) -> None:
        self.ages_ms: list[float] = []
        self.failed = 0
        self.status: BridgeStatus | None = None
        self._sent: dict[int, float] = {}
        self._lock = threading.Lock()

    def result(self, result: Result) -> None:
        with self._lock:
            sent = self._sent.pop(result.key.stamp_ns, None)
        if sent is not None and not result.late:
            self.ages_ms.append((time.perf_counter() - sent) * 1e3)

    def fail(self, *_: Any) -> None:
        self.failed += 1

    def see(self, status: BridgeStatus) -> None:
        self.status = status

    def send(self, client: BridgeClient, seconds: float, camera: Camera) -> None:
        begun, number = time.perf_counter(), 0
        while time.perf_counter() < begun + seconds:
            number += 1
            packet = camera.packet()
            with self._lock:
                self._sent[packet.key.stamp_ns] = time.perf_counter()
            client.send(packet, DEADLINE_MS)
            time.sleep(max(0.0, begun + number * PERIOD_S - time.perf_counter()))


def cost(seconds: float) -> dict[str, Any]:
    """Ages alone, with a backlog of records, with an artefact on its way down."""
    camera = Camera()
    rows = [_one(beside, seconds, camera) for beside in ("nothing", "records", "artefact")]
    return {
        "link": LINK,
        "frames_per_s": 1 / PERIOD_S,
        "frame_bytes": len(camera.packet().payload),
        "rows": rows,
    }


def _one(beside: str, seconds: float, camera: Camera) -> dict[str, Any]:
    live = Live()
    with tempfile.TemporaryDirectory() as text, ExitStack() as stack:
        folder = Path(text)
        keys, state = folder / "keys", folder / "state"
        init_keys(keys)
        add_device(keys, "bench")
        if beside == "artefact":
            keeping = Keeping(state)
            data = np.random.default_rng(2).bytes(ARTEFACT_BYTES)
            made = Artefact("bundle", "large", data, device="bench", stream="live")
            keeping.put("bench", made, 0, 0)
            keeping.close()
        bundle = str(write_tiny_bundle(folder))
        gateway = stack.enter_context(EmbeddedGateway(keys, [bundle], state_dir=state))
        proxy = stack.enter_context(ShapingProxy("127.0.0.1", gateway.port))
        proxy.set_faults(parse_faults(LINK))
        config = BridgeConfig(
            gateway=f"wss://127.0.0.1:{proxy.port}",
            keys_dir=str(keys),
            device="bench",
            stream="live",
            spool_path=str(folder / "spool.sqlite"),
            artefacts_dir=str(folder / "artefacts"),
        )
        client = BridgeClient(
            config,
            on_result=live.result,
            on_failed=live.fail,
            on_status=live.see,
            clearer=NothingToHide(),
        )
        client.start()
        stack.callback(client.stop, 10.0)
        while live.status is None or not live.status.link.connected:
            time.sleep(0.01)
        if beside == "records":
            for number in range(RECORDS):
                client.send_record(Record("verdict", number, {"n": number, "fill": bytes(150)}))
                if number % 500 == 499:
                    time.sleep(0.05)
        live.send(client, seconds, camera)
        time.sleep(2 * DEADLINE_MS / 1e3)
        parts = sum(path.stat().st_size for path in (folder / "artefacts").rglob("*.part"))
        assert live.status is not None
        carried = live.status.records_delivered if beside == "records" else parts
    ages = np.array(live.ages_ms or [np.nan])
    return {
        "beside": beside,
        "frames": len(live.ages_ms),
        "failed": live.failed,
        "carried": carried,  # records, or bytes of the artefact
        "age_ms": {
            "p50": round(float(np.percentile(ages, 50)), 2),
            "p99": round(float(np.percentile(ages, 99)), 2),
        },
    }
