"""The dashboard stands back behind the gateway: it goes on after others, and gives way at once."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

from mastra_ros.dashboard.yielding import SLICE_NS

SAY = """
import json, os, threading
from mastra_ros.dashboard import yielding
os.sched_setscheduler(0, getattr(os, {before!r}), os.sched_param(0)) if {before!r} else None
before = os.sched_getscheduler(0)
yielding.yield_to_others()
told = []
def tell():
    nice = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    told.append([before, os.sched_getscheduler(0), nice, yielding.slice_ns()])
thread = threading.Thread(target=tell)
thread.start()
thread.join()
print(json.dumps(told[0]))
"""
pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="scheduling is Linux's here")


def said(before: str = "") -> list[int]:
    """Policy before and after, nice, and length of slices, of a thread that was begun then."""
    command = [sys.executable, "-c", SAY.format(before=before)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told: list[int] = json.loads(done.stdout)
    return told


def test_it_interrupts_nobody_and_gives_way_to_whoever_wakes_up() -> None:
    before, after, nice, slice_ns = said()
    assert nice >= 10
    if before != os.SCHED_OTHER:
        assert after == before, "somebody has chosen it"
        return
    assert after == os.SCHED_BATCH
    version = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    if version >= (6, 12) and platform.machine() in ("x86_64", "aarch64"):
        assert slice_ns == SLICE_NS


def test_a_scheduling_that_somebody_has_chosen_stays() -> None:
    before, after, _, slice_ns = said("SCHED_IDLE")
    assert before == after == os.SCHED_IDLE
    assert slice_ns != SLICE_NS
