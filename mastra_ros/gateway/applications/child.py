"""The process of one application: reads records from stdin, writes answers to stdout.

    python -m mastra_ros.gateway.applications.child NAME [DESCRIPTOR]

DESCRIPTOR is a file that is open already, in which the pictures of live frames lie. What the
application prints goes to stderr. The process ends with its gateway.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from ...artefacts import Artefact
from ...errors import RecordError
from ...orphans import end_with_parent
from ...pipeline.application import (
    FIGURES_MAX,
    Answer,
    Application,
    CloseSet,
    Question,
    SeenFrame,
    SeenLive,
    SeenRecord,
    SeenResult,
)
from ...records import Record
from . import pipe
from .registry import load
from .seeing import make_frame, make_live, make_result

Seen = SeenRecord | SeenFrame | SeenResult | SeenLive
MAKE: dict[str, Callable[[list[Any]], Seen]] = {
    "records": lambda raw: SeenRecord(*raw),
    "frames": make_frame,
    "results": make_result,
    "live": lambda raw: make_live(raw, int(sys.argv[2])),
}
ANSWERS_MAX = 64
"""Answers to one record."""


def main() -> int:
    """Serve one application until its gateway hangs up."""
    end_with_parent(os.getppid())
    ours = os.dup(1)
    os.dup2(2, 1)
    application = load(sys.argv[1])
    kinds = None if application.kinds is None else list(application.kinds)
    every_s = float(application.live_every_s)
    said = {"kinds": kinds, "sees": list(application.sees), "live_every_s": every_s}
    pipe.write(ours, said)
    while True:
        try:
            asked = pipe.read(0)
        except pipe.PipeEnded:
            return 0
        pipe.write(ours, _serve(application, asked))


def _serve(application: Application, asked: dict[str, Any]) -> dict[str, Any]:
    try:
        if "restore" in asked:
            application.restore(asked["restore"])
            return {}
        if "snapshot" in asked:
            return {"snapshot": application.snapshot()}
        if "get" in asked:
            return _get(application, Question(*asked["get"]))
        if "figures" in asked:
            told = list(itertools.islice(application.figures(), FIGURES_MAX))
            return {"figures": [[*dataclasses.astuple(one)] for one in told]}
    except Exception as error:  # whatever the application does is told, and no fault of ours
        return {"error": _words(error)}
    answers: dict[Any, list[Any]] = {}
    failures = []
    (what,) = asked
    ways: dict[str, Callable[[Any], Iterable[Answer]]] = {
        "records": application.on_record,
        "frames": application.on_frame,
        "results": application.on_result,
        "live": application.on_live,
    }
    show = ways[what]
    for raw in asked[what]:
        seen = MAKE[what](raw)
        try:
            for number, answer in enumerate(_answers(show(seen))):
                answers[_slot(seen, number, answer)] = [seen.place, number, _plain(seen, answer)]
        except Exception as error:
            failures.append([seen.place, _words(error)])
    return {"answers": list(answers.values()), "failures": failures}


def _get(application: Application, question: Question) -> dict[str, Any]:
    """The answer as JSON, or a status and why."""
    try:
        if question.path not in application.paths:
            raise LookupError(f"there is nothing at {question.path!r:.80}")
        return {"json": json.dumps(application.on_get(question), allow_nan=False)}
    except LookupError as error:
        return {"status": 404, "error": str(error)[:300]}
    except (RecordError, ValueError) as error:
        return {"status": 400, "error": str(error)[:300]}


def _answers(given: Iterable[Answer] | None) -> list[Answer]:
    answers = list(given or ())
    for answer in answers:
        if not isinstance(answer, (Artefact, Record, CloseSet)):
            raise RecordError(
                f"expected artefacts, records and sets to be closed as answers, got {type(answer)}"
            )
    if len(answers) > ANSWERS_MAX:
        raise RecordError(f"expected at most {ANSWERS_MAX} answers, got {len(answers)}")
    return answers


def _slot(seen: Seen, number: int, answer: Answer) -> tuple[Any, ...]:
    """Of artefacts that replace each other only the last one need be told."""
    if isinstance(answer, Artefact) and answer.keep == "newest":
        whose = (answer.device or seen.device, answer.stream or _stream(seen))
        return ("newest", *whose, answer.kind, answer.name)
    return (seen.place, number)


def _plain(seen: Seen, answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Artefact):
        fields = {f.name: getattr(answer, f.name) for f in dataclasses.fields(answer)}
        fields["device"] = answer.device or seen.device
        fields["stream"] = answer.stream or _stream(seen)
        return {"artefact": fields}
    if isinstance(answer, CloseSet):
        whose = [answer.device or seen.device, answer.stream or _stream(seen)]
        return {"close": [*whose, answer.set]}
    return {"record": [answer.kind, answer.stamp_ns, answer.packed(), _stream(seen)]}


def _stream(seen: Seen) -> str:
    return seen.result.key.stream if isinstance(seen, SeenResult) else seen.stream


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


if __name__ == "__main__":
    sys.exit(main())
