"""Another server of the Open Inference Protocol, small and plain, that can be made to fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

KINDS = {"tensor(float)": ("FP32", np.float32), "tensor(int64)": ("INT64", np.int64)}


class Elsewhere:
    """Serves .onnx files by HTTP, with ONNX Runtime itself and no code of ours."""

    def __init__(self, port: int = 0) -> None:
        self.sessions: dict[str, Any] = {}
        self.batch = 8
        self.runs: list[int] = []  # rows of each
        self.fault: Callable[[Any], bool] = lambda _: False  # answers itself: nothing else does
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if not outer.fault(self):
                    outer.describe(self)

            def do_POST(self) -> None:
                self.body = self.rfile.read(int(self.headers["Content-Length"]))
                if not outer.fault(self):
                    outer.infer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def add(self, name: str, path: Path) -> str:
        """Serve a file; its URL."""
        runtime = pytest.importorskip("onnxruntime")
        self.sessions[name] = runtime.InferenceSession(
            str(path), providers=["CPUExecutionProvider"]
        )
        return f"http://127.0.0.1:{self.port}/{name}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def describe(self, call: Any) -> None:
        name, _, rest = call.path.removeprefix("/v2/models/").partition("/")
        if name not in self.sessions:
            reply(call, 404, {"error": f"no model {name}"})
        elif rest == "config":
            reply(call, 200, {"name": name, "max_batch_size": self.batch})
        else:
            session = self.sessions[name]
            told = {
                side: [
                    {
                        "name": one.name,
                        "datatype": {"tensor(bool)": "BOOL"}.get(one.type) or KINDS[one.type][0],
                        "shape": [d if isinstance(d, int) else -1 for d in one.shape],
                    }
                    for one in ports
                ]
                for side, ports in (
                    ("inputs", session.get_inputs()),
                    ("outputs", session.get_outputs()),
                )
            }
            reply(call, 200, {"name": name, "versions": ["7"], "platform": "onnx", **told})

    def infer(self, call: Any) -> None:
        name = call.path.removeprefix("/v2/models/").partition("/")[0]
        split = int(call.headers["Inference-Header-Content-Length"])
        asked, rest, fed = json.loads(call.body[:split]), call.body[split:], {}
        for tensor in asked["inputs"]:
            size = tensor["parameters"]["binary_data_size"]
            kind = dict(KINDS.values())[tensor["datatype"]]
            fed[tensor["name"]] = np.frombuffer(rest[:size], kind).reshape(tensor["shape"])
            rest = rest[size:]
        self.runs.append(len(next(iter(fed.values()))))
        names = [one["name"] for one in asked["outputs"]]
        outputs, tail = [], b""
        for output, array in zip(names, self.sessions[name].run(names, fed), strict=True):
            data = array.tobytes()
            tail += data
            told = {"name": output, "shape": list(array.shape)}
            told["datatype"] = {"b": "BOOL", "f": "FP32"}[array.dtype.kind]
            outputs.append({**told, "parameters": {"binary_data_size": len(data)}})
        head = json.dumps({"model_name": name, "outputs": outputs}).encode()
        raw(call, 200, head + tail, {"Inference-Header-Content-Length": str(len(head))})


def reply(call: Any, status: int, document: Any) -> None:
    """Answer with JSON."""
    raw(call, status, json.dumps(document).encode(), {})


def raw(call: Any, status: int, body: bytes, headers: dict[str, str]) -> None:
    """Answer with these bytes."""
    call.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        call.send_header(name, value)
    call.end_headers()
    call.wfile.write(body)


@pytest.fixture
def answers() -> Any:
    """How a fault answers: (reply, raw)."""
    return reply, raw


@pytest.fixture
def make_elsewhere() -> Iterator[Callable[..., Elsewhere]]:
    """Starts such servers; they are stopped after the test."""
    made: list[Elsewhere] = []

    def make(port: int = 0) -> Elsewhere:
        made.append(Elsewhere(port))
        return made[-1]

    yield make
    for one in made:
        if one.thread.is_alive():
            one.stop()


@pytest.fixture
def elsewhere(make_elsewhere: Callable[..., Elsewhere]) -> Elsewhere:
    """One such server."""
    return make_elsewhere()


@pytest.fixture
def summing(tmp_path: Path) -> Path:
    """`a`, `b` FP32 [n, 3] -> `sum` FP32 [n, 3]."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: no model to serve")
    from onnx import TensorProto, helper

    path = tmp_path / "summing.onnx"
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3])
        for name in ("a", "b", "sum")
    ]
    node = helper.make_node("Add", ["a", "b"], ["sum"])
    graph = helper.make_graph([node], "summing", ports[:2], ports[2:])
    opset = helper.make_opsetid("", 13)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path
