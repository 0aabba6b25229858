"""Programs exported by PyTorch are served as ONNX files are."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch", reason="torch is not installed")

from mastra_ros.config import GatewayConfig  # noqa: E402
from mastra_ros.errors import ModelError  # noqa: E402
from mastra_ros.gateway.tensors.opening import open_tensors  # noqa: E402
from mastra_ros.gateway.tensors.torch import TorchBackend  # noqa: E402
from mastra_ros.inference import Detector, load_bundle  # noqa: E402
from mastra_ros.types import Frame, FrameKey  # noqa: E402


class Scorer(torch.nn.Module):  # type: ignore[misc]
    """Tokens in, as a sequence model has them."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(10, 4)

    def forward(self, ids: Any, mask: Any) -> Any:
        found = self.table(ids) * mask[..., None]
        return {"pooled": found.mean(1), "used": mask.sum(1)}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    torch.manual_seed(3)
    model = Scorer().eval()
    example = (torch.zeros(2, 5, dtype=torch.int64), torch.ones(2, 5))
    rows = torch.export.Dim("rows", min=1, max=32)
    exported = torch.export.export(model, example, dynamic_shapes=({0: rows}, {0: rows}))
    path = tmp_path_factory.mktemp("torch") / "scorer.pt2"
    torch.export.save(exported, str(path))
    return path, model


def test_its_tensors_are_known_and_its_answers_are_pytorchs(program: tuple[Path, Any]) -> None:
    backend = TorchBackend(program[0])
    assert [str(one) for one in backend.inputs] == ["ids INT64 [-1, 5]", "mask FP32 [-1, 5]"]
    assert [str(one) for one in backend.outputs] == ["pooled FP32 [-1, 4]", "used FP32 [-1]"]
    assert backend.rows_max == 32
    ids = np.arange(15, dtype=np.int64).reshape(3, 5) % 10
    mask = np.ones((3, 5), np.float32)
    mask.flags.writeable = False  # as views of a request are
    answer = backend.run({"mask": mask, "ids": ids})
    with torch.inference_mode():
        expected = program[1](torch.from_numpy(ids), torch.ones(3, 5))
    np.testing.assert_allclose(answer["pooled"], expected["pooled"].numpy(), atol=1e-6)
    assert answer["used"].tolist() == [5, 5, 5]
    with pytest.raises(ModelError, match="PyTorch failed"):
        backend.run({"mask": mask, "ids": ids + 1000})
    assert backend.run({"mask": mask, "ids": ids})["used"].tolist() == [5, 5, 5]
    backend.close()


def test_what_is_no_program_or_has_no_such_device_is_one_line(
    program: tuple[Path, Any], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.pt2"
    bad.write_bytes(b"PK\x03\x04 nothing")
    for path, device in ((bad, "cpu"), (program[0], "cuda:77"), (program[0], "abacus")):
        with pytest.raises(ModelError, match="not a program that PyTorch can run") as caught:
            TorchBackend(path, device=device)
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="not found"):
        TorchBackend(tmp_path / "missing.pt2")


def test_a_gateway_serves_it(program: tuple[Path, Any]) -> None:
    opened: list[Any] = open_tensors(
        GatewayConfig(tensors=(f"scorer={program[0]}",)), lambda *_: None
    )
    assert opened[0].platform == "torch on cpu"
    assert opened[0].batch_size_max == GatewayConfig().batch_size_max
    for instance in opened[0]._instances:
        instance.backend.close()


class Cells(torch.nn.Module):  # type: ignore[misc]
    """White cells of 8x8 px, as a detector gives them."""

    def forward(self, image: Any) -> Any:
        means = torch.nn.functional.avg_pool2d(image, 8).flatten(1)[..., None]
        return {"scores": means * 40.0 - 28.0, "boxes": means.expand(-1, -1, 4) * 0.0 + 0.5}


def test_the_network_of_a_bundle_runs_in_pytorch_as_in_onnx_runtime(
    tmp_path: Path, bundle: Path
) -> None:
    rows = torch.export.Dim("rows", min=1, max=64)
    exported = torch.export.export(
        Cells(), (torch.zeros(2, 1, 64, 64),), dynamic_shapes=({0: rows},)
    )
    folder = tmp_path / "cells"
    shutil.copytree(bundle, folder)
    torch.export.save(exported, str(folder / "cloud.pt2"))
    document = yaml.safe_load((folder / "bundle.yaml").read_text())
    part = document["parts"]["cloud"]
    digest = hashlib.sha256((folder / "cloud.pt2").read_bytes()).hexdigest()
    part.update(file="cloud.pt2", engine="torch", sha256=digest)
    (folder / "bundle.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ModelError, match="is of format 3, and this says format 1"):
        load_bundle(str(folder))
    document["format"] = 3
    (folder / "bundle.yaml").write_text(yaml.safe_dump(document))
    ours, theirs = (Detector.open(load_bundle(str(one)), "cloud") for one in (folder, bundle))
    image = np.zeros((64, 64), np.uint8)
    image[8:16, 16:24] = image[40:48, 0:8] = 255
    frame = Frame(FrameKey("main", 1), image, "mono8")
    for found, expected in zip(
        ours.detect_batch([frame] * 3), theirs.detect_batch([frame] * 3), strict=True
    ):
        assert len(found) == 2
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-5)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    assert ours.chosen == "torch on cloud"
    ours.close()
    theirs.close()
