"""Benchmarks. What they start keeps nothing in the state of this user.

Where XDG_STATE_HOME names no folder, a temporary one stands for it, in this process and all that it
starts: spools, records and artefacts of devices, engines that were measured, keys of plates.
"""

from __future__ import annotations

import atexit
import os
from contextlib import ExitStack

from mastra_ros.leftovers import temporary_folder

if not os.environ.get("XDG_STATE_HOME"):
    _stack = ExitStack()
    atexit.register(_stack.close)
    os.environ["XDG_STATE_HOME"] = str(_stack.enter_context(temporary_folder("bench-")))
