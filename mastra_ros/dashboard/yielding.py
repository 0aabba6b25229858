"""How the dashboard's process stands back behind the gateway, where one machine runs both.

Nice 10 and `SCHED_BATCH` say how much it gets beside others, and that it interrupts nobody. How
soon others interrupt *it* is another thing: since Linux 6.6 what runs may finish its slice, some
milliseconds, before a thread of the gateway that wakes up gets the processor. A thread that asks
for long slices (sched_setattr(2), `sched_runtime`; since Linux 6.12) gives way at once to whoever
asked for shorter ones, which is everybody else. Measured on a pinned core: a thread that wakes up
each millisecond waited 2.2 to 2.7 ms (p99) beside nice 10 and `SCHED_BATCH`, 0.09 ms with long
slices, and 0.09 to 0.10 ms alone. `SCHED_IDLE` does the same, but leaves next to nothing on a busy
machine, where somebody may well want to look.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct

NICE = 10
SLICE_NS = 100_000_000
"""The longest that Linux takes; older ones take no notice of it."""
_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274, "armv7l": 380}
"""Numbers of the system call, which the C library has no function for."""
_ATTR = struct.Struct("=IIQiIQQQ")
"""struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period."""


def yield_to_others() -> None:
    """Stand back with this thread, and those that it begins.

    Where somebody has chosen another scheduling than the ordinary one, that stays.
    """
    os.nice(NICE)
    with contextlib.suppress(OSError, AttributeError):
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
            ask_for_slices(SLICE_NS)


def ask_for_slices(slice_ns: int) -> bool:
    """Ask for slices of this length for this thread; whether that is known here.

    Raises OSError where it is refused.
    """
    number = _SETATTR.get(platform.machine())
    if number is None or platform.system() != "Linux":
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attr = _ATTR.pack(_ATTR.size, os.sched_getscheduler(0), 0, nice, 0, slice_ns, 0, 0)
    if ctypes.CDLL(None, use_errno=True).syscall(number, 0, attr, 0):
        raise OSError(ctypes.get_errno(), "sched_setattr")
    return True


def slice_ns() -> int:
    """The length of slices that this thread has asked for, ns; 0 where it cannot be known.

    Raises OSError where it is refused.
    """
    number = _SETATTR.get(platform.machine())
    if number is None or platform.system() != "Linux":
        return 0
    buffer = ctypes.create_string_buffer(_ATTR.size)
    if ctypes.CDLL(None, use_errno=True).syscall(number + 1, 0, buffer, _ATTR.size, 0):
        raise OSError(ctypes.get_errno(), "sched_getattr")
    return int(_ATTR.unpack(buffer.raw)[5])
