"""Other inference servers, started from an environment of their own, behind HAProxy with TLS 1.3.

    python3.11 -m venv SERVING
    SERVING/bin/pip install "numpy<2" "opencv-python-headless<4.12" onnxruntime mosec
    SERVING/bin/pip install --no-deps nvidia-pytriton==0.7.0
    apt-get install haproxy

Triton is the server in `nvidia-pytriton`, with its python backend and the stub for the interpreter
of SERVING, and without pytriton's proxy. None of this is needed by the product.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
START_S = 60.0
START_PROGRAMS_S = 240.0
STOP_S = 10.0

_CONFIG = """name: "{name}"
backend: "python"
max_batch_size: 64
input [{{ name: "image" data_type: TYPE_STRING dims: [1] }}]
output [{{ name: "scores" data_type: TYPE_FP32 dims: [-1, 1] }},
        {{ name: "boxes" data_type: TYPE_FP32 dims: [-1, 4] }}]
dynamic_batching {{ }}
instance_group [{{ kind: KIND_CPU count: {instances} }}]
parameters {{ key: "model" value: {{ string_value: "{model}" }} }}
parameters {{ key: "database" value: {{ string_value: "{database}" }} }}
"""
_PROGRAM = """name: "{name}"
backend: "python"
max_batch_size: 64
input [{{ {input} }}]
output [{outputs}]
dynamic_batching {{ }}
instance_group [{{ kind: {kind} count: 1 }}]
parameters {{ key: "program" value: {{ string_value: "{program}" }} }}
parameters {{ key: "device" value: {{ string_value: "{device}" }} }}
"""
_HAPROXY = """global
    nbthread 2
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    maxconn 4096
frontend door
    bind 127.0.0.1:{port} ssl crt {pem}
    default_backend server
backend server
    http-reuse always
    server one 127.0.0.1:{inside}
"""


class Missing(Exception):  # noqa: N818 - a reason to leave a row out
    """What a server needs is not installed."""


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def haproxy(folder: Path, inside: int, keys: Path) -> Iterator[int]:
    """TLS 1.3, with the gateway's own certificate, before the server at port `inside`."""
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if program is None:
        raise Missing("haproxy is not installed: apt-get install haproxy")
    folder.mkdir(parents=True)
    pem = folder / "server.pem"
    pem.write_bytes((keys / "server.crt").read_bytes() + (keys / "server.key").read_bytes())
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(_HAPROXY.format(port=port, pem=pem, inside=inside))
    with _running([program, "-f", str(config)], folder / "haproxy.log", port):
        yield port


@contextlib.contextmanager
def triton(venv: Path, folder: Path, model: Path, instances: int) -> Iterator[int]:
    """Triton with the models `frames`, which keeps its results, and `infer`, which does not."""
    site = _site(venv, "pytriton")
    for name, database in (("frames", str(folder / "frames.sqlite3")), ("infer", "none")):
        said = _CONFIG.format(name=name, instances=instances, model=model, database=database)
        code = _model(folder, name, said, "triton_model.py", site)
        shutil.copy(HERE / "equal_work.py", code)
    with _tritonserver(venv, site, folder) as port:
        yield port


@dataclass(frozen=True)
class Program:
    """A program of PyTorch (.pt2) with one input; tensors as Triton's configuration has them."""

    path: Path
    input: str
    outputs: tuple[str, ...]


@contextlib.contextmanager
def triton_programs(
    venv: Path, folder: Path, programs: Mapping[str, Program], device: str, packages: Path
) -> Iterator[int]:
    """Triton with programs on a device; `packages`: a folder with torch for its interpreter."""
    site = _site(venv, "pytriton")
    for name, program in programs.items():
        said = _PROGRAM.format(
            name=name,
            input=program.input,
            outputs=",\n        ".join(program.outputs),
            kind="KIND_CPU" if device == "cpu" else "KIND_GPU",
            program=program.path,
            device=device,
        )
        _model(folder, name, said, "triton_program.py", site, packages)
    with _tritonserver(venv, site, folder, START_PROGRAMS_S) as port:
        yield port


def _model(folder: Path, name: str, config: str, source: str, *packages: Path) -> Path:
    """Write a model for the python backend; the folder of its code."""
    code = folder / "models" / name / "1"
    code.mkdir(parents=True)
    paths = f"import sys\nsys.path[:0] = {[str(code), *map(str, packages)]!r}\n"
    text = (HERE / source).read_text()
    (code / "model.py").write_text(text.replace("import json\n", f"{paths}import json\n", 1))
    (code.parent / "config.pbtxt").write_text(config)
    return code


@contextlib.contextmanager
def _tritonserver(venv: Path, site: Path, folder: Path, start_s: float = START_S) -> Iterator[int]:
    """Triton with the models in `folder`."""
    server = site / "pytriton" / "tritonserver"
    version = f"{site.parent.name.removeprefix('python')}"
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        raise Missing(f"nvidia-pytriton has no stub for Python {version}")
    backend = folder / "backends" / "python"
    shutil.copytree(server / "backends" / "python", backend)
    shutil.copy(stub, backend)
    home = Path(os.path.realpath(venv / "bin" / "python")).parents[1]
    libraries = [site / "nvidia_pytriton.libs", home / "lib"]
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
        "PYTHONHOME": str(home),
    }
    port = free_port()
    command = [str(server / "bin" / "tritonserver"), "--http-address", "127.0.0.1"]
    command += ["--http-port", str(port), "--model-repository", str(folder / "models")]
    command += ["--backend-directory", str(folder / "backends")]
    command += ["--allow-grpc", "false", "--allow-metrics", "false"]
    with _running(command, folder / "triton.log", port, environment, start_s):
        yield port


@contextlib.contextmanager
def mosec(venv: Path, folder: Path, model: Path, *, commit: bool) -> Iterator[int]:
    """mosec, whose path is `/inference`."""
    _site(venv, "mosec")
    folder.mkdir(parents=True)
    for name in ("mosec_server.py", "equal_work.py"):
        shutil.copy(HERE / name, folder)
    port = free_port()
    database = str(folder / "frames.sqlite3") if commit else "none"
    command = [str(venv / "bin" / "python"), str(folder / "mosec_server.py")]
    command += ["--port", str(port), "--address", "127.0.0.1"]
    environment = {**os.environ, "BENCH_MODEL": str(model), "BENCH_DATABASE": database}
    with _running(command, folder / "mosec.log", port, environment):
        yield port


def _site(venv: Path, package: str) -> Path:
    """The folder of packages of an environment that has this one."""
    for found in sorted(venv.glob("lib/python3.*/site-packages")):
        if (found / package).is_dir():
            return found.resolve()
    raise Missing(f"{package} is not installed in {venv.name}: see bench/serving/others.py")


@contextlib.contextmanager
def _running(
    command: Sequence[str],
    log: Path,
    port: int,
    environment: Mapping[str, str] | None = None,
    start_s: float = START_S,
) -> Iterator[None]:
    """A server from when it listens until it has ended."""
    with log.open("w") as told:
        process = subprocess.Popen(
            command,
            stdout=told,
            stderr=told,
            env=environment,
            cwd=log.parent,
            start_new_session=True,
        )
        try:
            _wait_for(process, port, log, start_s)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path, start_s: float) -> None:
    deadline = time.monotonic() + start_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{log.name}: the server did not start: {log.read_text()[-800:]}")
