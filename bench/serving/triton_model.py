"""`model.py` of Triton's python backend: equal work, a group of requests at a time."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import triton_python_backend_utils as pb
from equal_work import Work  # copied beside this file


class TritonPythonModel:
    """See Triton's python backend."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model, and open the database of this instance."""
        told = json.loads(args["model_config"])["parameters"]
        database = told["database"]["string_value"]
        self._work = Work(
            told["model"]["string_value"],
            f"{database}-{args['model_instance_name']}" if database != "none" else "",
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        """Each request holds one picture, or several."""
        groups = [pb.get_input_tensor_by_name(one, "image").as_numpy() for one in requests]
        found = self._work.run([one for group in groups for one in group.ravel()])
        answers, at = [], 0
        for group in groups:
            some = found[at : at + group.size]
            at += group.size
            scores, boxes = (np.stack([one[n] for one in some]) for n in range(2))
            tensors = [pb.Tensor("scores", scores), pb.Tensor("boxes", boxes)]
            answers.append(pb.InferenceResponse(tensors))
        return answers
