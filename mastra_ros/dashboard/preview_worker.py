"""One preview: its question as JSON on standard input, the answer on standard output."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
from typing import Any

from ..errors import MastraError
from ..simulation.preview import preview

CPU_S = 60
MEMORY_BYTES = 2 * 2**30
NICE = 10
"""Live frames go first where the dashboard runs beside the gateway."""


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """`rows`, or `error` in one line."""
    try:
        rows = preview(question["samples"], question["at_s"], question["changes"], question["now"])
    except MastraError as error:
        return {"error": " ".join(str(error).split())}
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # A status may hold what the simulator makes no sense of.
        return {"error": f"the statuses make no sense ({type(error).__name__})"}
    return {"rows": rows}


def main() -> None:
    """Answer one question, within bounds."""
    os.nice(NICE)
    for kind, most in ((resource.RLIMIT_CPU, CPU_S), (resource.RLIMIT_AS, MEMORY_BYTES)):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))
    json.dump(answer(json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    main()
