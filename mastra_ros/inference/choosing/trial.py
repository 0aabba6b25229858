"""The child process in which an engine is tried: whatever it does, only the child ends by it.

    python -m mastra_ros.inference.choosing.trial REQUEST

REQUEST is JSON: parent (its process), bundle (folder), engine, views (by part), options. Each line
on standard input, PART INDEX, asks for one run of a part on one of the drawn pictures, and is
answered by a line of JSON: ms, boxes, scores, classes; or problem. The child ends with its input,
and one whose engine hangs with its parent.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import Any

from ...errors import MastraError
from ...orphans import end_with_parent
from ..bundle import Bundle, load_bundle
from ..detector import Detector
from ..opening import EngineOptions
from .agreement import SHARE_LISTED
from .pictures import drawn_frames

LEAST_SCORE = 0.01
"""Stands for the threshold of a part that has none."""


class Trials:
    """Detectors of one engine, opened when a part is first asked for."""

    def __init__(self, request: dict[str, Any]) -> None:
        bundle = load_bundle(request["bundle"])
        parts = {
            name: bundle.parts[name].seen(int(views)) for name, views in request["views"].items()
        }
        # Nothing suppresses anything: candidates are compared, not what is left of them.
        every = replace(bundle.output, nms_iou=1.0)
        self._bundle: Bundle = replace(bundle, parts=parts, output=every)
        self._engine = str(request["engine"])
        options = dict(request["options"])
        options["providers"] = tuple(options["providers"])
        self._options = EngineOptions(**options)
        self._frames = drawn_frames(bundle.input)
        self._detectors: dict[str, Detector] = {}

    def run(self, part: str, index: int) -> dict[str, Any]:
        """Time and answer of one picture; the first run of a part is not the one that counts."""
        frame = self._frames[index % len(self._frames)]
        if part not in self._detectors:
            least = self._bundle.part(part).score_threshold or LEAST_SCORE
            self._detectors[part] = Detector.open(
                self._bundle,
                part,
                engine=self._engine,
                options=self._options,
                score_threshold=least * SHARE_LISTED,
            )
            self._detectors[part].detect(frame)
        detector = self._detectors[part]
        found = detector.detect(frame)
        return {
            "ms": detector.times.infer_ms,
            "boxes": found.boxes.tolist(),
            "scores": found.scores.tolist(),
            "classes": found.classes.tolist(),
        }


def main() -> int:
    """Answer until the input ends."""
    request = json.loads(sys.argv[1])
    end_with_parent(int(request["parent"]))
    # What libraries print must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    trials: Trials | None = None
    for line in sys.stdin:
        part, _, index = line.strip().partition(" ")
        try:
            trials = trials or Trials(request)
            answer = trials.run(part, int(index))
        except (MastraError, OSError, MemoryError) as error:
            answer = {"problem": " ".join(str(error).split())}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
