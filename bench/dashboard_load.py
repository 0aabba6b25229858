"""Devices that send frames evenly for as long as they are wanted, and remember when each was sent.

    python -m bench.dashboard_load PORT KEYS DEVICE DEVICES RATE OUT

As bench.serving.stream with a rate: frames go at their times, whether or not those before were
answered, those of one device between those of the others. Prints `ready` when all have connected,
ends when its standard input does, and leaves in OUT (.npy) a row for each frame that was answered:
when it was sent (s of `time.perf_counter`, which all processes of a machine share) and for how long
it was under way, in ms. Prints, as JSON, how many were refused.
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.serving.stream import Device, pictures
from bench.tiny_model import TINY_PX
from mastra_ros.protocol.keys import audience_of, load_device_key
from mastra_ros.protocol.tls import client_context
from mastra_ros.protocol.tokens import sign_token

LIFE_S = 3600.0
LAST_S = 5.0
"""After the last frame its answer is waited for so long."""


class Timed(Device):
    """A device that remembers when it has sent what was answered."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.sent_s: list[float] = []

    def _next(self, now: float) -> None:
        if len(self.sent_s) < len(self.latencies_ms):  # it was not refused
            self.sent_s.append(now - self.latencies_ms[-1] / 1e3)
        super()._next(now)


async def load(port: int, keys: Path, name: str, devices: int, rate: float) -> list[Timed]:
    """Drive the gateway until the standard input ends."""
    loop = asyncio.get_running_loop()
    key, audience = load_device_key(keys, name), audience_of(keys)
    context = client_context(keys / "ca.crt")
    run = time.time_ns()
    first = f"{run}-0000"
    ready = pictures(first, TINY_PX)
    made = []
    for stream in (f"{run}-{n:04}" for n in range(devices)):
        frames = [(data.replace(first.encode(), stream.encode()), at) for data, at in ready]
        token = sign_token(name, key, audience, LIFE_S)
        make = functools.partial(Timed, token, name, stream, frames)
        _, device = await loop.create_connection(make, "127.0.0.1", port, ssl=context)
        await asyncio.wait_for(device.ready, 20.0)
        made.append(device)
    period_s = devices / rate
    for place, device in enumerate(made):
        device.start(math.inf, period_s, place * period_s / devices)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for device in made:
        device.until = 0.0
    await asyncio.wait([device.done for device in made], timeout=LAST_S)
    return made


def main() -> None:
    """Leave what was seen."""
    port, keys, name, devices, rate, out = sys.argv[1:]
    made = asyncio.run(load(int(port), Path(keys), name, int(devices), float(rate)))
    seen = [(at, ms) for one in made for at, ms in zip(one.sent_s, one.latencies_ms, strict=True)]
    np.save(out, np.asarray(seen, np.float64).reshape(-1, 2))
    print(json.dumps({"refused": sum(one.refused for one in made)}))


if __name__ == "__main__":
    main()
