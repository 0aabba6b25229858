"""`model.py` of Triton's python backend: a program of PyTorch, a group of requests in one run."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
import triton_python_backend_utils as pb


class TritonPythonModel:
    """See Triton's python backend."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the program onto its device."""
        config = json.loads(args["model_config"])
        told = {name: one["string_value"] for name, one in config["parameters"].items()}
        self._device = torch.device(told["device"])
        torch.set_num_threads(1)
        program = torch.export.load(told["program"])
        if self._device.type != "cpu":
            from torch.export.passes import move_to_device_pass

            program = move_to_device_pass(program, self._device)
        self._module = program.module()
        self._input = config["input"][0]["name"]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Requests that Triton has put together are of one shape behind their rows."""
        arrays = [pb.get_input_tensor_by_name(one, self._input).as_numpy() for one in requests]
        joined = torch.from_numpy(np.concatenate(arrays)).to(self._device)
        with torch.inference_mode():
            given = {name: one.cpu().numpy() for name, one in self._module(joined).items()}
        answers, at = [], 0
        for array in arrays:
            end = at + len(array)
            tensors = [
                pb.Tensor(name, np.ascontiguousarray(one[at:end])) for name, one in given.items()
            ]
            answers.append(pb.InferenceResponse(tensors))
            at = end
        return answers
