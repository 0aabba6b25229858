"""Durable frames in named sets, from their pieces to the disk, and read again in order."""

from .desk import SetDesk
from .rows import KeptFrame, KeptSet, SetBatch
from .store import SqliteSetStore

__all__ = ["KeptFrame", "KeptSet", "SetBatch", "SetDesk", "SqliteSetStore"]
