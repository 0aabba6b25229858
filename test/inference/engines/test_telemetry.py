"""Runtimes report home unless told not to; what we start opens no socket and leaves no id.

Seen in processes of their own, outside pytest, since its packages are silent under it.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mastra_ros.inference import Bundle

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)

WATCH = """
import sys, os
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.__new__"):
        with open(os.environ["WATCHED"], "a") as log:
            log.write(f"{event} {arguments!r}\\n")
sys.addaudithook(watch)
"""
"""Put into every Python process that is started, children included."""


@pytest.fixture
def watched(tmp_path: Path) -> dict[str, str]:
    """The environment of a process with an empty home, whose sockets are written down."""
    start, home = tmp_path / "start", tmp_path / "home"
    start.mkdir()
    home.mkdir()
    (start / "sitecustomize.py").write_text(WATCH)
    keep = {k: v for k, v in os.environ.items() if k not in ("CI", "TF_BUILD", "JENKINS_URL")}
    keep = {k: v for k, v in keep.items() if not k.startswith(("PYTEST", "NNCF", "XDG", "ORT_"))}
    path = os.pathsep.join([str(start), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    return {
        **keep,
        "HOME": str(home),
        "PYTHONPATH": path,
        "WATCHED": str(tmp_path / "sockets.txt"),
        "MASTRA_ENGINE": "auto",
    }


def sockets(watched: dict[str, str]) -> str:
    path = Path(watched["WATCHED"])
    return path.read_text() if path.exists() else ""


def left_in(watched: dict[str, str]) -> list[str]:
    home = Path(watched["HOME"])
    return [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()]


def run(watched: dict[str, str], code: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=watched,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_watch_sees_a_socket(watched: dict[str, str]) -> None:
    run(watched, "import socket; socket.socket().close()")
    assert "socket.__new__" in sockets(watched)


@needs_openvino
def test_an_engine_opens_no_socket_and_leaves_nothing_at_home(
    bundle: Bundle, watched: dict[str, str]
) -> None:
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from mastra_ros.inference.engines.openvino import OpenVinoEngine\n"
        "for name in ('local.tflite', 'cloud.onnx'):\n"
        "    engine = OpenVinoEngine(Path(sys.argv[1]) / name)\n"
        "    spec = engine.inputs[0]\n"
        "    engine.run(np.zeros([side or 1 for side in spec.shape], spec.dtype))\n"
        "assert 'pytest' not in sys.modules\n"
    )
    run(watched, code, str(bundle.path.parent))
    assert sockets(watched) == ""
    assert left_in(watched) == []


def test_onnx_runtime_leaves_no_id_of_the_device(bundle: Bundle, watched: dict[str, str]) -> None:
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from mastra_ros.inference.engines.onnx import OnnxEngine\n"
        "engine = OnnxEngine(Path(sys.argv[1]) / 'cloud.onnx')\n"
        "engine.run(np.zeros((1, 1, 64, 64), np.float32))\n"
        "from onnxruntime import quantization\n"
    )
    run(watched, code, str(bundle.path.parent))
    assert sockets(watched) == ""
    assert left_in(watched) == []


@needs_openvino
def test_choosing_an_engine_opens_no_socket_and_leaves_nothing_at_home(
    bundle: Bundle, watched: dict[str, str]
) -> None:
    code = (
        "import sys\n"
        "from mastra_ros.inference import load_bundle\n"
        "from mastra_ros.inference.choosing.auto import open_detector\n"
        "from mastra_ros.inference.choosing.pictures import drawn_frames\n"
        "bundle = load_bundle(sys.argv[1])\n"
        "detector = open_detector(bundle, ('local', 'cloud'))\n"
        "detector.detect(drawn_frames(bundle.input)[0])\n"
        "assert detector.await_choice(120)\n"
        "assert ' ms' in detector.chosen, detector.chosen\n"
        "detector.close()\n"
    )
    run(watched, code, str(bundle.path.parent))
    assert sockets(watched) == ""
    assert left_in(watched) == []


@needs_openvino
def test_what_others_have_loaded_to_report_stays_loaded(watched: dict[str, str]) -> None:
    code = (
        "import sys, types\n"
        "theirs = types.ModuleType('openvino_telemetry')\n"
        "sys.modules['openvino_telemetry'] = theirs\n"
        "from mastra_ros.inference.engines.openvino import load_openvino\n"
        "load_openvino()\n"
        "assert sys.modules['openvino_telemetry'] is theirs\n"
    )
    run(watched, code)
