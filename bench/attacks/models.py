"""Rows of models that do not answer, or fail in the midst of their work."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import yaml

from bench.tiny_model import TINY_PX
from mastra_ros.compression import Encoder
from mastra_ros.config import CompressionConfig
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol import FrameMessage, Nack, encode
from mastra_ros.types import Frame, FrameKey

from . import client
from .failing_model import write_failing_bundle
from .hanging_model import write_hanging_bundle
from .pipeline import own_pipeline
from .row import Record, row
from .site import ATTACKERS, Sites, wait_until

ITEM = "0 bad days"
GATE = hiding_nothing("drawn pictures; nobody is on them")
STOPPED_S = 30.0
GATE = hiding_nothing("pictures drawn for an attack")


def _for_device(folder: Path) -> Path:
    """The bundle in a folder, with its part of the gateway as that of the device."""
    path = folder / "bundle.yaml"
    document = yaml.safe_load(path.read_text())
    document["parts"]["local"] = document["parts"].pop("cloud")
    path.write_text(yaml.safe_dump(document))
    return folder


def _without_answers(sites: Sites, record: Record, bundle: Path, *, told: bool) -> None:
    """Only the device is asked for a while. `told`: some of its answers are errors."""
    with own_pipeline(sites, **{"inference.bundle": bundle, "inference.engine": "bundle"}) as at:
        at.gateway.answer = lambda frame: []  # noqa: ARG005 - so that the device is asked
        before = len(at.watch.finals)
        wait_until(lambda: len(at.watch.finals) >= before + sites.over_runs(4, 24), 60.0)
        entered = set(at.watch.entered)
        wait_until(lambda: entered <= set(at.watch.finals) | at.watch.superseded)
        record.attempts += len(entered)
        if told:
            wait_until(lambda: any(one.error for one in at.watch.finals.values()))
        at.gateway.answer = at.gateway.commit

        def good() -> bool:
            return any(not one.error for key, one in at.watch.finals.items() if key not in entered)

        wait_until(good, 60.0)
        record.twice += at.watch.twice
        record.expect("Traceback" not in at.log, f"a fault is in the log: {at.log[-500:]}")
        record.expect(at.end(STOPPED_S), f"it did not stop within {STOPPED_S:g} s")


@row(ITEM, "a model on the device that does not answer", alone=True)
def hanging(sites: Sites, record: Record) -> None:
    """The gateway's answers go on; each frame ends, if with an error; so does the process."""
    bundle = _for_device(write_hanging_bundle(sites.folder(f"local-{time.monotonic_ns()}")))
    _without_answers(sites, record, bundle, told=False)


@row(ITEM, "a model on the device that fails with every frame", alone=True)
def failing(sites: Sites, record: Record) -> None:
    """Each frame ends with an error that says so, in few lines; the gateway's answers go on."""
    bundle = _for_device(write_failing_bundle(sites.folder(f"local-{time.monotonic_ns()}")))
    _without_answers(sites, record, bundle, told=True)


@row(ITEM, "a model of the gateway that fails with some frames")
def failing_at_the_gateway(sites: Sites, record: Record) -> None:
    """Those of another device, which share groups with them, are answered."""
    folder = write_failing_bundle(sites.folder(f"failing-{time.monotonic_ns()}"))
    # Another engine may look past the end of a table without a word, which is no failure.
    with sites.own_site(bundle=folder, engine="onnxruntime") as site:
        record.attempts = sites.over_runs(8, 200)

        async def attack() -> None:
            white = np.full((TINY_PX, TINY_PX), 255, np.uint8)
            encoder = Encoder(CompressionConfig(codec="png"), "white")
            async with client.session(site, ATTACKERS[0], "white") as websocket:
                for n in range(1, record.attempts + 1):
                    frame = Frame(FrameKey("white", n), white, "mono8")
                    message = FrameMessage.from_packet(encoder.encode(GATE.clear(frame)))
                    await websocket.send(encode(message))
                    answer = await client.hear(websocket)
                    failed = isinstance(answer, Nack) and answer.code == "failed"
                    record.expect(failed, f"expected a refusal as failed, got {answer}")

        with site.watched(record, least_s=sites.least_s):
            client.run(attack())
