"""Rows of a device's own model: it hangs, or has never learned to answer."""

from __future__ import annotations

import time
from pathlib import Path

import yaml

from .hanging_model import write_hanging_bundle
from .pipeline import own_pipeline
from .row import Record, row
from .site import Sites, wait_until

ITEM = "0 bad days"
STOPPED_S = 30.0


def _hanging_bundle(folder: Path) -> Path:
    """A bundle whose part for the device answers black pictures only."""
    write_hanging_bundle(folder)
    path = folder / "bundle.yaml"
    document = yaml.safe_load(path.read_text())
    document["parts"]["local"] = document["parts"].pop("cloud")
    path.write_text(yaml.safe_dump(document))
    return folder


@row(ITEM, "a model on the device that does not answer")
def hanging(sites: Sites, record: Record) -> None:
    """The gateway's answers go on; each frame ends, if with an error; so does the process."""
    bundle = _hanging_bundle(sites.folder(f"local-{time.monotonic_ns()}"))
    with own_pipeline(sites, **{"inference.bundle": bundle, "inference.engine": "bundle"}) as at:
        at.gateway.answer = lambda frame: []  # noqa: ARG005 - so that the device is asked
        before = len(at.watch.finals)
        wait_until(lambda: len(at.watch.finals) >= before + sites.many(4, 40), 60.0)
        entered = set(at.watch.entered)
        wait_until(lambda: entered <= set(at.watch.finals) | at.watch.superseded)
        record.attempts += len(entered)
        at.gateway.answer = at.gateway.commit

        def good() -> bool:
            return any(not one.error for key, one in at.watch.finals.items() if key not in entered)

        wait_until(good, 60.0)
        record.twice += at.watch.twice
        record.expect("Traceback" not in at.log, f"a fault is in the log: {at.log[-500:]}")
        record.expect(at.end(STOPPED_S), f"it did not stop within {STOPPED_S:g} s")
