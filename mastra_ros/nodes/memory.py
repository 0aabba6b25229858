"""Keeps the memory of pictures in the process from one to the next."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD = -1  # <malloc.h> of glibc
M_MMAP_THRESHOLD = -3
KEPT_BYTES = 256 << 20
PICTURE_BYTES = 32 << 20
"""The most that glibc takes: a colour picture of 3840x2160 and a little."""


def keep_memory() -> bool:
    """Ask the C library not to give back and fetch anew the memory of each picture.

    Fresh memory is cleared by the kernel, page by page: at 1080p that takes several times as long
    as the copy that it is fetched for, and a picture between processes is copied often. The
    price: up to `KEPT_BYTES` stay with the process. False where the C library is not glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    kept = mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    return bool(mallopt(M_MMAP_THRESHOLD, PICTURE_BYTES) and kept)
