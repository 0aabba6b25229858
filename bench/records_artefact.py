"""A large artefact over a link of 5 Mbit/s that is cut again and again, see records.py."""

from __future__ import annotations

import hashlib
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.records_cost import DEADLINE_MS, LINK, Camera, Live
from bench.records_sets import cuts
from bench.tiny_model import write_tiny_bundle
from mastra_ros.artefacts import Artefact
from mastra_ros.bridge import BridgeClient
from mastra_ros.bridge.artefacts import Received
from mastra_ros.bridge.clearing import NothingToHide
from mastra_ros.config import BridgeConfig
from mastra_ros.emulation import ShapingProxy, parse_faults
from mastra_ros.gateway.applications.keeping import Keeping
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.protocol.keys import add_device, init_keys

CUT_EVERY_S, CUT_S = 15.0, 1.0
STEP_S = 2.0
BITS_PER_S_LEAST = 2e5
"""Slower than that the part has failed."""


def artefact(size: int, seconds: float) -> dict[str, Any]:
    """Ages of live frames alone, for so long before and after, and while so many bytes come."""
    camera = Camera()
    before = _run(0, seconds, camera)
    beside = _run(size, seconds, camera)
    after = _run(0, seconds, camera)
    bps = size * 8 / beside.took_s if beside.took_s else None
    return {
        "link": f"{LINK}, cut for {CUT_S:g} s each {CUT_EVERY_S:g} s",
        "bytes": size,
        "took_s": beside.took_s,
        "bits_per_s": None if bps is None else round(bps),
        "arrived": beside.arrived,
        "whole": beside.whole,
        "age_ms_alone": _ages(before, after),
        "age_ms_beside": _ages(beside),
    }


@dataclass(frozen=True)
class Told:
    """What one run has shown."""

    took_s: float | None
    arrived: int
    whole: bool
    ages_ms: list[float]
    failed: int


def _ages(*runs: Told) -> dict[str, Any]:
    ages = np.concatenate([run.ages_ms or [np.nan] for run in runs])
    return {
        "frames": len(ages),
        "failed": sum(run.failed for run in runs),
        "p50": round(float(np.percentile(ages, 50)), 2),
        "p99": round(float(np.percentile(ages, 99)), 2),
    }


def _run(size: int, seconds: float, camera: Camera) -> Told:
    live = Live()
    received: list[tuple[float, bool]] = []
    done = threading.Event()
    with tempfile.TemporaryDirectory() as text, ExitStack() as stack:
        folder = Path(text)
        keys, state = folder / "keys", folder / "state"
        init_keys(keys)
        add_device(keys, "bench")
        data = np.random.default_rng(2).bytes(size)
        digest = hashlib.sha256(data).hexdigest()
        if size:
            keeping = Keeping(state)
            made = Artefact("bundle", "large", data, device="bench", stream="live")
            keeping.put("bench", made, 0, 0)
            keeping.close()
        bundle = str(write_tiny_bundle(folder))
        gateway = stack.enter_context(EmbeddedGateway(keys, [bundle], state_dir=state))
        proxy = stack.enter_context(ShapingProxy("127.0.0.1", gateway.port))
        proxy.set_faults(parse_faults(LINK + cuts(CUT_EVERY_S, CUT_S)))

        def hear(one: Received) -> None:
            whole = hashlib.sha256(one.path.read_bytes()).hexdigest() == digest
            received.append((time.perf_counter(), whole))
            done.set()

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
            on_artefact=hear,
            clearer=NothingToHide(),
        )
        started = time.perf_counter()
        client.start()
        stack.callback(client.stop, 10.0)
        longest_s = seconds + size * 8 / BITS_PER_S_LEAST
        while time.perf_counter() - started < (longest_s if size else seconds):
            live.send(client, STEP_S, camera)
            if size and done.is_set() and time.perf_counter() - started >= seconds:
                break
        time.sleep(2 * DEADLINE_MS / 1e3)
    return Told(
        took_s=round(received[0][0] - started, 1) if received else None,
        arrived=len(received),
        whole=bool(received) and all(whole for _, whole in received),
        ages_ms=live.ages_ms,
        failed=live.failed,
    )
