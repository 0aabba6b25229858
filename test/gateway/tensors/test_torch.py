"""Programs exported by PyTorch are served as ONNX files are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from mastra_ros.config import GatewayConfig  # noqa: E402
from mastra_ros.errors import ModelError  # noqa: E402
from mastra_ros.gateway.tensors.opening import open_tensors  # noqa: E402
from mastra_ros.gateway.tensors.torch import TorchBackend  # noqa: E402


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
    assert opened[0].batch_size_max == 8
    for instance in opened[0]._instances:
        instance.backend.close()
