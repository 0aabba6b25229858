"""A model of BERT's size and the board's network on a GPU: PyTorch, the gateway and Triton.

    python -m bench.gateway_gpu --device cuda --triton SERVING [--out FILE]
    python -m bench.gateway_gpu --small --out FILE

The encoder has the size of BERT-base and random weights in half precision: tokens in, one vector
out. All three run the same exported program, one after the other in one process each: PyTorch by
itself (batches of 1 to 64, the copies to and from the device counted), the gateway behind TLS 1.3
with a token, Triton's python backend (dynamic batching) behind HAProxy with TLS 1.3 where that is
installed. Clients send one sequence a request, `--clients` at once, encoded beforehand. `--small`
is two layers and short sequences on the CPU, to see that all of it works. `SERVING`: see
bench/serving/others.py; Triton takes PyTorch from our own environment, of the same Python.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import bench.pinned  # noqa: F401
from bench.bars import leave
from bench.serving.beside import DEVICES, TOKEN_S, drive
from bench.serving.encoder import WORDS, write_board, write_encoder
from bench.serving.others import Missing, Program, haproxy, triton_programs
from bench.serving.requests import request
from bench.tiny_model import write_tiny_bundle
from mastra_ros.config import GatewayConfig
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.gateway.openinference.exchange import write_request
from mastra_ros.inference.engines.torch import TorchProgram
from mastra_ros.protocol.keys import add_device, audience_of, init_keys, load_device_key
from mastra_ros.protocol.tokens import sign_token

BATCHES = (1, 4, 16, 64)
BATCHES_SMALL = (1, 4)
LENGTHS = (128, 384)
REQUESTS = 64


def inputs_of(shape: tuple[int, ...], kind: str, count: int) -> list[np.ndarray[Any, Any]]:
    """Random ones, all different: tokens, or pictures."""
    rng = np.random.default_rng(1)
    if kind == "tokens":
        return [rng.integers(0, WORDS, (1, *shape), dtype=np.int64) for _ in range(count)]
    return [rng.integers(0, 256, (1, *shape), dtype=np.uint8) for _ in range(count)]


def bare(
    program: TorchProgram,
    arrays: list[np.ndarray[Any, Any]],
    batches: tuple[int, ...],
    seconds: float,
) -> dict[str, Any]:
    """PyTorch by itself: the median time of a batch, by its size."""
    told = {}
    for batch in batches:
        fed = np.concatenate((arrays * (batch // len(arrays) + 1))[:batch])
        program.run([fed])
        taken: list[float] = []
        until = time.perf_counter() + seconds / len(batches)
        while time.perf_counter() < until or len(taken) < 3:
            began = time.perf_counter()
            program.run([fed])
            taken.append((time.perf_counter() - began) * 1e3)
        middle = statistics.median(taken)
        told[str(batch)] = {"batch_ms": round(middle, 3), "per_s": round(batch / middle * 1e3, 1)}
    return told


def write_all(
    folder: Path, path: str, name: str, arrays: list[Any], outputs: list[str], tokens: list[str]
) -> Path:
    """Requests as files."""
    folder.mkdir(parents=True)
    for n, array in enumerate(arrays):
        body, head = write_request({name: array}, outputs)
        headers = {"Content-Type": "application/octet-stream"}
        headers["Inference-Header-Content-Length"] = str(head)
        if tokens:
            headers["Authorization"] = f"Bearer {tokens[n % len(tokens)]}"
        (folder / f"{n:03}.http").write_bytes(request(path, body, headers))
    return folder


class Work:
    """One model's requests, and what is told of it."""

    def __init__(
        self, name: str, model: str, shape: tuple[int, ...], kind: str, outputs: list[str]
    ) -> None:
        self.name, self.model, self.kind, self.outputs = name, model, kind, outputs
        self.batches: tuple[int, ...] = BATCHES
        self.arrays = inputs_of(shape, kind, REQUESTS)
        self.told: dict[str, Any] = {}

    def measure(
        self, who: str, port: int, folder: Path, ca: Path | None, args: Any, tokens: list[str]
    ) -> None:
        """Many clients with one row each, then one client with 64 rows a request."""
        path = f"/v2/models/{self.model}/infer"
        singles = write_all(
            folder / f"{who}-{self.name}", path, self.kind, self.arrays, self.outputs, tokens
        )
        whole = [np.concatenate(self.arrays[: max(self.batches)])]
        full = write_all(
            folder / f"{who}-{self.name}-full", path, self.kind, whole, self.outputs, tokens
        )
        end = [] if ca is None else [str(ca)]
        told = {}
        for key, clients, some in (("clients", args.clients, singles), ("full", 1, full)):
            command = ["bench.serving.requests", str(port), str(clients), str(args.seconds)]
            drive([*command[:3], "0.2", str(some), *end], clients)  # warm
            told[key] = drive([*command, str(some), *end], clients)
        self.told[who] = told
        print(self.name, who, json.dumps(told), flush=True)

    def summary(self) -> dict[str, Any]:
        """With the figures that the bars are about."""
        ours, theirs = self.told.get("gateway", {}), self.told.get("triton", {})
        rate = ours.get("clients", {}).get("per_s")
        other = theirs.get("clients", {}).get("per_s")
        batch_ms = self.told["bare"][str(max(self.batches))]["batch_ms"]
        full_ms = ours.get("full", {}).get("p50_ms")
        return {
            **self.told,
            "per_s": rate,
            "p99_ms": ours.get("clients", {}).get("p99_ms"),
            "share_of_triton": round(rate / other, 3) if rate and other else None,
            "overhead": round(full_ms / batch_ms, 3) if full_ms else None,
        }


def measure(args: Any, folder: Path) -> dict[str, Any]:
    """All of it."""
    half = args.device != "cpu"
    side_px = 64 if args.small else 640
    lengths = (8, 16) if args.small else LENGTHS
    size = "small" if args.small else "base"
    encoder = write_encoder(folder / "encoder.pt2", size, half=half)
    board = write_board(folder / "board.pt2", side_px, half=half)
    works = [
        Work(str(told), "encoder", (length,), "tokens", ["pooled"])
        for told, length in zip(LENGTHS, lengths, strict=True)
    ]
    works.append(Work("board", "board", (1, side_px, side_px), "image", ["scores", "boxes"]))
    for work in works:
        work.batches = BATCHES_SMALL if args.small else BATCHES
        program = TorchProgram(folder / f"{work.model}.pt2", device=args.device)
        work.told["bare"] = bare(program, work.arrays, work.batches, args.seconds)
        print(work.name, "bare", json.dumps(work.told["bare"]), flush=True)
        program.close()
    keys = folder / "keys"
    init_keys(keys, own_audience=True)
    for device in DEVICES:
        add_device(keys, device)
    audience = audience_of(keys)
    tokens = [sign_token(one, load_device_key(keys, one), audience, TOKEN_S) for one in DEVICES]
    bundle = folder / "bundle"
    bundle.mkdir()
    write_tiny_bundle(bundle)
    config = GatewayConfig(
        tensors=(f"encoder={encoder}", f"board={board}"),
        torch_device=args.device,
        batch_size_max=max(BATCHES),
        body_bytes_max=1 << 26,
    )
    with EmbeddedGateway(keys, [str(bundle)], config=config) as gateway:
        for work in works:
            work.measure("gateway", gateway.port, folder, keys / "ca.crt", args, tokens)
    skipped = beside(args, folder, keys, works, half=half)
    *encoders, last = works
    return {
        "encoder": {work.name: work.summary() for work in encoders},
        "board": last.summary(),
        "skipped": skipped,
    }


def beside(args: Any, folder: Path, keys: Path, works: list[Work], *, half: bool) -> dict[str, str]:
    """The same at Triton; why not, where it cannot be had."""
    if args.triton is None:
        return {"triton": "no --triton SERVING was given"}
    real = "TYPE_FP16" if half else "TYPE_FP32"
    tokens, image = 'name: "tokens" data_type: TYPE_INT64 dims: [-1]', 'name: "image" data_type: '
    programs = {
        "encoder": Program(
            folder / "encoder.pt2",
            tokens,
            (f'{{ name: "pooled" data_type: {real} dims: [-1] }}',),
        ),
        "board": Program(
            folder / "board.pt2",
            f"{image}TYPE_UINT8 dims: [1, -1, -1]",
            (
                f'{{ name: "scores" data_type: {real} dims: [-1, -1] }}',
                f'{{ name: "boxes" data_type: {real} dims: [-1, 4] }}',
            ),
        ),
    }
    packages = Path(torch.__file__).parents[1]
    try:
        with contextlib.ExitStack() as stack:
            port = stack.enter_context(
                triton_programs(
                    args.triton.absolute(), folder / "triton", programs, args.device, packages
                )
            )
            skipped, ca = {}, None
            try:
                port = stack.enter_context(haproxy(folder / "door", port, keys))
                ca = keys / "ca.crt"
            except Missing as error:
                skipped["TLS before Triton"] = str(error)
            for work in works:
                work.measure("triton", port, folder, ca, args, [])
            return skipped
    except (Missing, RuntimeError, OSError) as error:
        return {"triton": str(error)}


def main() -> int:
    """Measure and write the report."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    parser.add_argument("--small", action="store_true", help="a small model on the CPU")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--clients", type=int, default=64, help="requests at once")
    parser.add_argument("--triton", type=Path, help="environment of Triton")
    parser.add_argument("--out", type=Path, default=Path("bench/results/gateway_gpu.json"))
    args = parser.parse_args()
    began_s = time.monotonic()
    cuda = args.device != "cpu"
    report: dict[str, Any] = {
        "device": torch.cuda.get_device_name(args.device) if cuda else "cpu",
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "size": "small" if args.small else "base",
        "clients": args.clients,
        "seconds": args.seconds,
    }
    with tempfile.TemporaryDirectory() as folder:
        report |= measure(args, Path(folder))
    leave(args.out, "gateway_gpu", report, began_s)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
