"""Child processes of our own program: what they start with, and that they end with who started
them."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

CHECK_S = 0.5
FAILED = 1


def child_environment() -> dict[str, str]:
    """Ours, in which a child finds the same package as this process."""
    paths = [str(Path(__file__).absolute().parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


async def parent_ended(parent_pid: int) -> None:
    """Return once the parent has ended, however it does; for processes that end in order."""
    while os.getppid() == parent_pid:
        await asyncio.sleep(CHECK_S)


def end_with_parent(parent_pid: int) -> None:
    """Have this process end within a second or so of its parent, even where its main thread hangs.

    parent_pid: as the parent told it; one that has ended since is no longer what getppid tells.
    What this process does is left as it stands, so this is for work that nobody waits for any more.
    """
    threading.Thread(target=_watch, args=(parent_pid,), name="parent", daemon=True).start()


def _watch(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(CHECK_S)
    os._exit(FAILED)
