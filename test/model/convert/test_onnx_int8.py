"""The int8 form of the server's network: made, judged, refused, and used by both engines."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from mastra_ros.errors import ConfigError, DataError, ModelError
from mastra_ros.inference import Detector, load_bundle
from mastra_ros.model.convert.add_int8 import Int8Options, add_int8, table
from mastra_ros.model.convert.onnx_int8 import quantise_onnx
from mastra_ros.model.dataset import Dataset, open_dataset
from mastra_ros.model.verify import verify

pytest.importorskip("onnx", reason="onnx is not installed: no models to quantise")

SIDE_PX, STRIDE_PX = 64, 8
LABELS = ("spot", "shade")
needs_nncf = pytest.mark.skipif(
    importlib.util.find_spec("nncf") is None, reason="nncf is not installed"
)


def write_network(path: Path, *, kernel: np.ndarray | None = None) -> None:
    """Float [n, 1, 64, 64] -> `scores` and `boxes`: finds white and gray cells by convolutions."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    mean = np.full((1, 1, STRIDE_PX, STRIDE_PX), 1 / STRIDE_PX**2, np.float32)
    cells = (SIDE_PX // STRIDE_PX) ** 2
    constants = {
        "mean": mean if kernel is None else kernel,
        "score_w": np.array([40.0, 16.0], np.float32).reshape(2, 1, 1, 1),
        "score_b": np.array([-28.0, -6.0], np.float32),
        "box_w": np.zeros((4, 1, 1, 1), np.float32),
        "box_b": np.full(4, 0.5, np.float32),
        "score_shape": np.array([0, cells, 2], np.int64),
        "box_shape": np.array([0, cells, 4], np.int64),
    }
    node = helper.make_node
    nodes = [node("Conv", ["image", "mean"], ["means"], strides=[STRIDE_PX] * 2)]
    for name, kind in (("scores", "score"), ("boxes", "box")):
        nodes += [
            node("Conv", ["means", f"{kind}_w", f"{kind}_b"], [f"{kind}_map"]),
            node("Transpose", [f"{kind}_map"], [f"{kind}_rows"], perm=[0, 2, 3, 1]),
            node("Reshape", [f"{kind}_rows", f"{kind}_shape"], [name]),
        ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "cells",
        [value("image", TensorProto.FLOAT, ["n", 1, SIDE_PX, SIDE_PX])],
        [
            value("scores", TensorProto.FLOAT, ["n", cells, 2]),
            value("boxes", TensorProto.FLOAT, ["n", cells, 4]),
        ],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


@pytest.fixture
def pictures(tmp_path: Path) -> Dataset:
    """Labelled pictures with a white and a gray cell each."""
    root = tmp_path / "pictures"
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    rng = np.random.default_rng(4)
    for i in range(12):
        image = rng.integers(0, 20, (SIDE_PX, SIDE_PX)).astype(np.uint8)
        lines = []
        for kind, level in ((1, 255), (2, 128)):
            x, y = (int(v) * STRIDE_PX for v in rng.integers(0, SIDE_PX // STRIDE_PX, 2))
            image[y : y + STRIDE_PX, x : x + STRIDE_PX] = level
            lines = [line for line in lines if not line.startswith(f"{x} {y} ")]
            lines.append(f"{x} {y} {x + STRIDE_PX} {y + STRIDE_PX} {kind}")
        cv2.imwrite(str(root / "images" / f"{i}.png"), image)
        (root / "labels" / f"{i}.txt").write_text("\n".join(lines) + "\n")
    return open_dataset(root, "detection", LABELS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle of the format 1 with a part for the server alone."""
    import hashlib

    made = tmp_path / "bundle"
    made.mkdir()
    write_network(made / "cloud.onnx")
    (made / "README.md").write_text("cells\n")
    (made / "report").mkdir()
    (made / "report" / "report.md").write_text("kept\n")
    digest = hashlib.sha256((made / "cloud.onnx").read_bytes()).hexdigest()
    document: dict[str, Any] = {
        "format": 1,
        "name": "cells",
        "version": "1.0.0",
        "task": "detection",
        "labels": list(LABELS),
        "input": {
            "width_px": SIDE_PX,
            "height_px": SIDE_PX,
            "colour": "gray",
            "resize": "letterbox",
            "pad_value": 0,
            "mean": [0.0],
            "std": [255.0],
        },
        "output": {"kind": "anchor_free", "stride_px": STRIDE_PX, "nms_iou": 0.4},
        "parts": {
            "cloud": {
                "file": "cloud.onnx",
                "engine": "onnxruntime",
                "sha256": digest,
                "model": "cells_gateway",
                "version": "1.0.0",
                "score_threshold": 0.4,
                "views": 2,
            }
        },
    }
    (made / "bundle.yaml").write_text(yaml.safe_dump(document))
    return made


MAKERS = pytest.mark.parametrize("by", ["onnxruntime", pytest.param("nncf", marks=needs_nncf)])


@MAKERS
def test_a_bundle_gets_the_part_and_the_report_says_what_it_costs(
    folder: Path, pictures: Dataset, by: str
) -> None:
    bundle = load_bundle(str(folder))
    report = add_int8(bundle, folder, pictures, Int8Options(by=by, runs=2), training=pictures)
    made = load_bundle(str(folder))
    part, exact = made.part("cloud_int8"), made.part("cloud")
    assert (part.engine, part.views, part.model) == ("onnxruntime", 2, "cells_gateway_int8")
    assert (part.score_threshold, exact.sha256) == (0.4, bundle.part("cloud").sha256)
    assert part.measurements["accuracy"] == report["parts"]["cloud_int8"]["accuracy"]
    assert report["loss"] <= 0.02
    assert report["agreement"] > 0.95
    assert yaml.safe_load(made.path.read_text())["format"] == 2
    assert (folder / "README.md").read_text() == "cells\n"
    assert (folder / "report" / "report.md").read_text() == "kept\n"
    assert [check for check in verify(folder) if check.problem] == []
    assert f"int8 by {by}" in table(report)


@MAKERS
def test_what_is_made_computes_in_integers_and_the_same_on_every_engine(
    folder: Path, pictures: Dataset, by: str
) -> None:
    import onnx

    add_int8(load_bundle(str(folder)), folder, pictures, Int8Options(by=by, runs=2))
    kinds = {node.op_type for node in onnx.load(str(folder / "cloud_int8.onnx")).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    bundle = load_bundle(str(folder))
    engines = ["onnxruntime"]
    if importlib.util.find_spec("openvino") is not None:
        engines.append("openvino")
    for i in range(len(pictures)):
        found = [
            Detector.open(bundle, "cloud_int8", engine=engine).detect_batch([pictures.frame(i)] * 3)
            for engine in engines
        ]
        for answers in found:
            for one in answers:
                np.testing.assert_allclose(one.boxes, found[0][0].boxes, atol=0.3)
                np.testing.assert_allclose(one.scores, found[0][0].scores, atol=0.03)


def test_weights_have_seven_bits_for_processors_that_would_cut_off_the_eighth(
    folder: Path, pictures: Dataset
) -> None:
    import onnx
    from onnx import numpy_helper

    add_int8(load_bundle(str(folder)), folder, pictures, Int8Options(runs=2))
    graph = onnx.load(str(folder / "cloud_int8.onnx")).graph
    weights = [numpy_helper.to_array(one) for one in graph.initializer]
    weights = [one for one in weights if one.dtype == np.int8 and one.ndim == 4]
    assert len(weights) == 3
    assert max(int(np.abs(one.astype(int)).max()) for one in weights) <= 64


def test_pictures_that_calibrated_do_not_count_for_accuracy(
    folder: Path, pictures: Dataset
) -> None:
    options = Int8Options(calibration=5, runs=2)
    report = add_int8(load_bundle(str(folder)), folder, pictures, options)
    assert (report["calibration_pictures"], report["pictures"]) == (5, 7)


def test_int8_that_loses_too_much_is_refused_and_nothing_is_written(
    folder: Path, pictures: Dataset, tmp_path: Path
) -> None:
    # One weight of 1000 leaves the others, which find the cells, not one step of their scale.
    kernel = np.full((1, 1, STRIDE_PX, STRIDE_PX), 1 / STRIDE_PX**2, np.float32)
    kernel[0, 0, 0, 0], kernel[0, 0, 0, 1] = 1000.0, -1000.0
    exact = folder / "cloud.onnx"
    before = exact.read_bytes()
    write_network(exact, kernel=kernel)
    bundle = load_bundle_with(folder)
    options = Int8Options(max_loss=-1.0, runs=2)
    with pytest.raises(ModelError, match=r"int8 loses .* more than --max-loss"):
        add_int8(bundle, tmp_path / "new", pictures, options)
    assert not (tmp_path / "new").exists()
    add_int8(bundle, tmp_path / "new", pictures, Int8Options(max_loss=-1, allow_loss=True, runs=2))
    assert "cloud_int8" in load_bundle(str(tmp_path / "new")).parts
    assert before


def load_bundle_with(folder: Path) -> Any:
    """The bundle, after its file has been changed on purpose."""
    import hashlib

    path = folder / "bundle.yaml"
    document = yaml.safe_load(path.read_text())
    part = document["parts"]["cloud"]
    part["sha256"] = hashlib.sha256((folder / part["file"]).read_bytes()).hexdigest()
    path.write_text(yaml.safe_dump(document))
    return load_bundle(str(folder))


def test_a_part_that_is_there_is_replaced_only_when_asked(folder: Path, pictures: Dataset) -> None:
    add_int8(load_bundle(str(folder)), folder, pictures, Int8Options(runs=2))
    bundle = load_bundle(str(folder))
    with pytest.raises(ModelError, match="has a part cloud_int8 already"):
        add_int8(bundle, folder, pictures, Int8Options(runs=2))
    add_int8(bundle, folder, pictures, Int8Options(runs=2, replace=True, views=1))
    assert load_bundle(str(folder)).part("cloud_int8").views == 1


def test_a_network_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"\x08\x01nothing")
    feed = [np.zeros((1, 1, SIDE_PX, SIDE_PX), np.float32)]
    with pytest.raises(ModelError, match=r"bad\.onnx: cannot be quantised") as caught:
        quantise_onnx(tmp_path / "bad.onnx", tmp_path / "out.onnx", feed)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="at least one picture"):
        quantise_onnx(tmp_path / "bad.onnx", tmp_path / "out.onnx", [])
    with pytest.raises(ConfigError, match="expected onnxruntime or nncf"):
        quantise_onnx(tmp_path / "bad.onnx", tmp_path / "out.onnx", feed, by="magic")


@needs_nncf
def test_a_network_that_nncf_cannot_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"\x08\x01nothing")
    feed = [np.zeros((1, 1, SIDE_PX, SIDE_PX), np.float32)]
    with pytest.raises(ModelError, match=r"cannot be quantised by nncf") as caught:
        quantise_onnx(tmp_path / "bad.onnx", tmp_path / "out.onnx", feed, by="nncf")
    assert "\n" not in str(caught.value)


WATCH = """
import os, sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        with open(os.environ["WATCHED"], "a") as log:
            log.write(f"{event} {arguments!r}\\n")
sys.addaudithook(watch)
"""


@MAKERS
def test_quantising_opens_no_socket_and_leaves_no_id_at_home(tmp_path: Path, by: str) -> None:
    """From a process outside pytest, under which its packages would be silent anyway."""
    start, home = tmp_path / "start", tmp_path / "home"
    start.mkdir()
    home.mkdir()
    (start / "sitecustomize.py").write_text(WATCH)
    write_network(tmp_path / "exact.onnx")
    keep = {k: v for k, v in os.environ.items() if k not in ("CI", "TF_BUILD", "JENKINS_URL")}
    keep = {k: v for k, v in keep.items() if not k.startswith(("PYTEST", "NNCF", "XDG", "ORT_"))}
    environment = {
        **keep,
        "HOME": str(home),
        "WATCHED": str(tmp_path / "sockets.txt"),
        "PYTHONPATH": os.pathsep.join([str(start), *filter(None, [keep.get("PYTHONPATH", "")])]),
    }
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from mastra_ros.model.convert.onnx_int8 import quantise_onnx\n"
        "feeds = [np.random.default_rng(i).random((1, 1, 64, 64), np.float32) for i in range(4)]\n"
        "quantise_onnx(Path(sys.argv[1]), Path(sys.argv[2]), feeds, by=sys.argv[3])\n"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", code),
            *(str(tmp_path / "exact.onnx"), str(tmp_path / "out.onnx"), by),
        ],
        env=environment,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.onnx").is_file()
    assert not (tmp_path / "sockets.txt").exists(), (tmp_path / "sockets.txt").read_text()
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_the_verb_makes_it_and_says_so(
    folder: Path, pictures: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    from mastra_ros.cli.main import main

    run: Callable[[list[str]], int] = main
    status = run(["model", "quantise", str(folder), "--data", str(pictures.root), "--views", "1"])
    assert status == 0
    assert "has the part cloud_int8" in capsys.readouterr().out
    assert load_bundle(str(folder)).part("cloud_int8").views == 1
