"""Runs a model once in TensorFlow Lite Micro and prints what it took, as JSON.

    python -m mastra_ros.model.fit.micro FILE.tflite ARENA_BYTES

A process of its own, because TFLM ends the process on some faults and tells what it allocated
only on standard error.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> int:
    """Run FILE with an arena of this size; 0 where it ran."""
    import numpy as np
    from tflite_micro import runtime

    path, arena = Path(sys.argv[1]), int(sys.argv[2])
    interpreter = runtime.Interpreter.from_bytes(path.read_bytes(), arena_size=arena)
    feed = interpreter.get_input_details(0)
    interpreter.set_input(np.zeros(feed["shape"], feed["dtype"]), 0)
    interpreter.invoke()
    output = np.asarray(interpreter.get_output(0))
    interpreter.print_allocations()
    sys.stdout.write(json.dumps({"ran": True, "output": output.reshape(-1)[:64].tolist()}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
