"""What the processor is, and where OpenVINO spends the time of a frame."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from bench.engines_data import Network
from mastra_ros.inference.engines.openvino import OpenVinoEngine
from mastra_ros.inference.engines.reporting import load_openvino

NEEDED = {"AVX512_CORE_BF16": "avx512_bf16", "AVX512_CORE_VNNI": "avx512_vnni"}
"""A cap says something only where the processor has what it leaves."""
TOLD = ("amx_int8", "amx_bf16", "avx512_bf16", "avx512_vnni", "avx_vnni", "avx512f", "avx2")
ARM = ("i8mm", "asimddp", "bf16", "asimd")
PACKAGES = ("openvino", "onnxruntime", "ai-edge-litert", "numpy")
RUNS = 20


def machine() -> dict[str, Any]:
    """Processor, flags that matter, versions, and the caps that can be tried."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    about = {key.strip(): value.strip() for key, _, value in (one.partition(":") for one in lines)}
    flags = set(about.get("flags", about.get("Features", "")).split())
    had = [flag for flag in (*TOLD, *ARM) if flag in flags]
    kind = kind_of(flags)
    cpu = about.get("model name", platform.machine())
    caps = ["AVX512_CORE"] if "avx512f" in flags else []
    caps += [cap for cap, flag in NEEDED.items() if flag in flags]
    if kind != "amx" and "AVX512_CORE_BF16" in caps:
        caps.remove("AVX512_CORE_BF16")  # that is the processor as it is
    return {
        "name": f"{cpu} ({kind})",
        "kind": kind,
        "cpu": cpu,
        "cpus": os.cpu_count(),
        "flags": had,
        "caps": caps,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def kind_of(flags: set[str]) -> str:
    """The class of a processor: amx, bf16, vnni, avx512, avx2, or dotprod and plain of ARM."""
    if "asimd" in flags:
        return "dotprod" if flags & {"asimddp", "i8mm"} else "plain"
    kinds = {
        "amx": {"amx_int8", "amx_bf16"},
        "bf16": {"avx512_bf16"},
        "vnni": {"avx512_vnni", "avx_vnni"},
        "avx512": {"avx512f"},
    }
    return next((kind for kind, wanted in kinds.items() if flags & wanted), "avx2")


def profile(network: Network) -> dict[str, Any]:
    """For each file on OpenVINO: kernels used, and ms in convolutions, elsewhere, and between.

    `between` is what a run takes beyond the sum of its operations: copies and dispatch.
    """
    told = {}
    assert network.bundle is not None
    for part in dict.fromkeys(network.parts.values()):
        path = network.bundle.part(part).path
        engine = OpenVinoEngine(path, threads=1)
        tensor = network.tensor(engine, 1)
        whole_ms = _usual_ms(lambda e=engine, t=tensor: e.run(t))
        real = engine.inputs[0].dtype.kind == "f"
        engine.close()
        told[part] = {"run_ms": whole_ms, **_operations(path, tensor, real)}
        told[part]["between_ms"] = round(whole_ms - told[part]["sum_ms"], 3)
        print(f"profile of {part}: {told[part]}", flush=True)
    return told


def _operations(path: Path, tensor: Any, real: bool) -> dict[str, Any]:
    openvino = load_openvino()
    reader = openvino.frontend.FrontEndManager().load_by_framework(path.suffix[1:])
    model = reader.convert(reader.load(str(path)))
    options: dict[str, Any] = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERF_COUNT": True}
    options["PERFORMANCE_HINT"] = "LATENCY"
    if not real:
        options["INFERENCE_PRECISION_HINT"] = "f32"
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    rows: dict[str, list[float]] = {}
    kinds: dict[str, tuple[str, str]] = {}
    for _ in range(RUNS):
        request.infer([tensor])
        for one in request.profiling_info:
            ms = one.real_time.total_seconds() * 1e3
            if ms > 0:
                rows.setdefault(one.node_name, []).append(ms)
                kinds[one.node_name] = (one.node_type, one.exec_type)
    spent = {name: float(np.median(values)) for name, values in rows.items()}
    convolutions = [name for name in spent if "Convolution" in kinds[name][0]]
    total = sum(spent.values())
    inside = sum(spent[name] for name in convolutions)
    kernels: Counter[str] = Counter(kinds[name][1] for name in convolutions)
    return {
        "sum_ms": round(total, 3),
        "convolutions_ms": round(inside, 3),
        "others_ms": round(total - inside, 3),
        "kernels": dict(kernels),
    }


def _usual_ms(loop: Any) -> float:
    times = []
    for i in range(RUNS + 3):
        started = time.perf_counter()
        loop()
        if i >= 3:
            times.append((time.perf_counter() - started) * 1e3)
    return round(float(np.median(times)), 3)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
