"""Ends connections that may have ended already."""

from __future__ import annotations

import asyncio
import contextlib


def abort(transport: asyncio.Transport) -> None:
    """Drop a connection at once; nothing where it is gone.

    The TLS of asyncio in Python before 3.11.4 raises AttributeError once it is.
    """
    with contextlib.suppress(AttributeError):
        transport.abort()
