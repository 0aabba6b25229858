"""The gateway and other servers with equal work, in turn, under the same clients.

Used by `bench.gateway`. `others.py` says how to make the environment of the others. The work of a
frame: a 64x64 JPEG, all different, decoded, run through the tiny model, kept in SQLite with
synchronous FULL, answered; two in flight a device, which are two connections where a protocol has
one on its way. `infer` is the same without keeping: `/v2` of ours and of Triton. All is behind TLS
1.3, ours with a token; the figures without TLS are Triton's and mosec's own.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import bench.pinned  # noqa: F401
from bench.serving.others import Missing, haproxy, mosec, triton
from bench.serving.ours import load
from bench.serving.requests import request
from bench.tiny_model import TINY_PX, write_tiny_bundle
from mastra_ros.config import GatewayConfig
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.gateway.openinference.exchange import write_request
from mastra_ros.protocol.keys import add_device, audience_of, init_keys, load_device_key
from mastra_ros.protocol.tokens import sign_token

ROOT = Path(__file__).parents[2]

DEVICES = [f"bench{n}" for n in range(8)]
REQUESTS = 128
REQUESTS_MAX = 64
"""The gateway answers so many requests over HTTP at once, and refuses more."""
BATCH_MAX = 64
"""Of all servers."""
TOKEN_S = 3600.0
STREAM = "mastra stream, commit, TLS"


def pictures() -> list[bytes]:
    """JPEG files, all different."""
    rng = np.random.default_rng(1)
    made = []
    for n in range(REQUESTS):
        image = np.full((TINY_PX, TINY_PX), n, np.uint8)
        for row, column in rng.integers(0, TINY_PX // 8, (6, 2)) * 8:
            image[row : row + 8, column : column + 8] = rng.integers(256)
        made.append(cv2.imencode(".jpg", image)[1].tobytes())
    return made


def write_requests(folder: Path, path: str, *, tokens: list[str], raw: bool = False) -> Path:
    """Requests for one server as files; `raw`: the body is the picture itself."""
    folder.mkdir(parents=True)
    for n, picture in enumerate(pictures()):
        headers = {"Content-Type": "application/octet-stream"}
        body = picture
        if not raw:
            shape = (1,) if tokens else (1, 1)  # Triton's has the side of the batch
            array = np.array([picture], object).reshape(shape)
            outputs = ["boxes", "scores", "classes"] if tokens else ["boxes", "scores"]
            body, head = write_request({"image": array}, outputs)
            headers["Inference-Header-Content-Length"] = str(head)
        if tokens:
            headers["Authorization"] = f"Bearer {tokens[n % len(tokens)]}"
        (folder / f"{n:03}.http").write_bytes(request(path, body, headers))
    return folder


def drive(command: list[str], clients: int) -> dict[str, Any]:
    """Run clients; what they saw."""
    told = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,  # where modules of the benchmarks are found
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        return {"clients": clients, "failed": told.stderr.strip().splitlines()[-1][:300]}
    seen = json.loads(told.stdout)
    taken = seen["latencies_ms"] or [float("nan")]
    return {
        "clients": clients,
        "per_s": round(len(seen["latencies_ms"]) / seen["took_s"], 1),
        "p50_ms": round(float(np.percentile(taken, 50)), 2),
        "p99_ms": round(float(np.percentile(taken, 99)), 2),
        "refused": seen["refused"],
    }


def measure(
    venv: Path | None, seconds: float, numbers: Sequence[int], rounds: int, processes: int
) -> dict[str, Any]:
    """All servers are up; in each round each number of clients meets one after the other.

    `tiny` has what is known of ours alone, `beside` the rows of all.
    """
    skipped: dict[str, str] = {}
    told: dict[tuple[str, int], list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        runs = _ours(folder, stack, seconds / rounds, max(numbers), processes)
        if venv is not None:
            runs |= _others(venv, folder, stack, seconds / rounds, skipped)
        for round_number in range(rounds):
            for clients in dict.fromkeys(numbers):
                for row, run in runs.items():
                    if round_number and row.endswith("plain"):
                        continue  # of these one figure is enough
                    told.setdefault((row, clients), []).append(run(clients))
                    print(row, json.dumps(told[row, clients][-1]), flush=True)
    rows: dict[str, list[dict[str, Any]]] = {}
    for (row, _), some in told.items():
        rows.setdefault(row, []).append(_middle(some))
    frame = f"{TINY_PX}x{TINY_PX} mono8 jpeg key frames"
    return {
        "tiny": {"frame": frame, "gateway": rows[STREAM]},
        "beside": {"rows": rows, "skipped": skipped},
    }


def _middle(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each figure the median of the rounds, of refusals the sum; and the rates of all."""
    good = [one for one in rounds if "per_s" in one]
    if not good:
        return rounds[0]
    middle = dict(good[0])
    for key, value in good[0].items():
        values = [one[key] for one in good]
        if isinstance(value, dict):
            middle[key] = {k: round(statistics.median(v[k] for v in values), 2) for k in value}
        elif isinstance(value, float) or key.endswith("_us_a_frame"):
            middle[key] = round(statistics.median(values), 2)
    middle["refused"] = sum(one["refused"] for one in good)
    middle["rounds_per_s"] = [one["per_s"] for one in good]
    if "memory_mib" in middle:
        middle["memory_mib"] = [one["memory_mib"] for one in good]
    failed = [one["failed"] for one in rounds if "failed" in one]
    return middle | ({"failed": failed} if failed else {})


Run = Callable[[int], dict[str, Any]]


def _ours(
    folder: Path, stack: contextlib.ExitStack, seconds_each: float, most: int, processes: int
) -> dict[str, Run]:
    keys, bundle = folder / "keys", folder / "bundle"
    bundle.mkdir()
    write_tiny_bundle(bundle)
    init_keys(keys, own_audience=True)
    for device in DEVICES:
        add_device(keys, device)
    tokens = [
        sign_token(one, load_device_key(keys, one), audience_of(keys), TOKEN_S) for one in DEVICES
    ]
    config = GatewayConfig(
        processes=processes,
        batch_size_max=BATCH_MAX,
        sessions_max=4 * most + 32,
        sessions_device_max=2 * most + 16,
        queue_frames_max=4 * most + 32,  # those in flight of all, or some are refused
    )
    gateway = stack.enter_context(EmbeddedGateway(keys, [str(bundle)], config=config))
    requests = write_requests(folder / "v2", "/v2/models/tiny/infer", tokens=tokens)
    seconds, port = str(seconds_each), str(gateway.port)

    def stream(clients: int) -> dict[str, Any]:
        seen = load(gateway, keys, DEVICES[0], clients, TINY_PX, seconds_each)
        taken = seen["latency_ms"]
        told = {"clients": clients, "per_s": seen["frames_per_s"]}
        return {**told, "p50_ms": taken["p50"], "p99_ms": taken["p99"], **seen}

    def v2(clients: int) -> dict[str, Any]:
        if clients > REQUESTS_MAX:
            return {"clients": clients, "skipped": f"more than {REQUESTS_MAX} requests at once"}
        command = ["bench.serving.requests", port, str(clients), seconds, str(requests)]
        return drive([*command, str(keys / "ca.crt")], clients)

    return {STREAM: stream, "mastra /v2, infer, TLS": v2}


def _others(
    venv: Path,
    folder: Path,
    stack: contextlib.ExitStack,
    seconds: float,
    skipped: dict[str, str],
) -> dict[str, Run]:
    keys, model = folder / "keys", folder / "bundle" / "cloud.onnx"
    runs: dict[str, Run] = {}

    def add(row: str, port: int, requests: Path, connections: int, *, secure: bool) -> None:
        def run(clients: int) -> dict[str, Any]:
            command = ["bench.serving.requests", str(port), str(clients * connections)]
            command += [str(seconds), str(requests)]
            return drive([*command, *([str(keys / "ca.crt")] if secure else [])], clients)

        runs[row] = run

    of_triton = {
        name: write_requests(folder / name, f"/v2/models/{name}/infer", tokens=[])
        for name in ("frames", "infer")
    }
    raw = write_requests(folder / "raw", "/inference", tokens=[], raw=True)
    for instances in (1, 2):
        server = f"triton of {instances}"
        try:
            port = stack.enter_context(
                triton(venv, folder / f"triton{instances}", model, instances)
            )
            door = stack.enter_context(haproxy(folder / f"door{instances}", port, keys))
        except (Missing, RuntimeError, OSError) as error:
            skipped[server] = str(error)
            continue
        add(f"{server}, commit, TLS", door, of_triton["frames"], 2, secure=True)
        add(f"{server}, infer, TLS", door, of_triton["infer"], 1, secure=True)
        add(f"{server}, commit, plain", port, of_triton["frames"], 2, secure=False)
        add(f"{server}, infer, plain", port, of_triton["infer"], 1, secure=False)
    for commit in (True, False):
        work = "commit" if commit else "infer"
        try:
            port = stack.enter_context(mosec(venv, folder / f"mosec-{work}", model, commit=commit))
            door = stack.enter_context(haproxy(folder / f"door-{work}", port, keys))
        except (Missing, RuntimeError, OSError) as error:
            skipped[f"mosec, {work}"] = str(error)
            continue
        add(f"mosec, {work}, TLS", door, raw, 2 if commit else 1, secure=True)
        add(f"mosec, {work}, plain", port, raw, 2 if commit else 1, secure=False)
    return runs
