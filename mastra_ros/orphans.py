"""Child processes that end with the one that started them, even where their main thread hangs."""

from __future__ import annotations

import os
import threading
import time

CHECK_S = 1.0
FAILED = 1


def end_with_parent(parent_pid: int) -> None:
    """Have this process end within a second or so of its parent, however that one ends.

    parent_pid: as the parent told it; one that has ended since is no longer what getppid tells.
    What this process does is left as it stands, so this is for work that nobody waits for any more.
    """
    threading.Thread(target=_watch, args=(parent_pid,), name="parent", daemon=True).start()


def _watch(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(CHECK_S)
    os._exit(FAILED)
