"""Ends connections that may have ended already, and what stands for one that has."""

from __future__ import annotations

import asyncio
import contextlib


def abort(transport: asyncio.Transport) -> None:
    """Drop a connection at once; nothing where it is gone.

    The TLS of asyncio in Python before 3.11.4 raises AttributeError once it is.
    """
    with contextlib.suppress(AttributeError):
        transport.abort()


class Ended(asyncio.Transport):
    """A connection that is gone: whatever it is told goes nowhere.

    It takes the place of the true one, whose buffers would else be kept until the garbage
    collector comes by, since a server and its parts refer to each other.
    """

    def write(self, data: object) -> None:
        """Nothing."""

    def close(self) -> None:
        """It is."""

    def abort(self) -> None:
        """It is."""

    def is_closing(self) -> bool:
        """It is closed."""
        return True

    def is_reading(self) -> bool:
        """Nothing will come."""
        return False

    def pause_reading(self) -> None:
        """Nothing."""

    def resume_reading(self) -> None:
        """Nothing."""
