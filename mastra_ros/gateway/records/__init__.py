"""Records of devices at the gateway: taken in order, committed in groups, counted once.

order.py   what may be taken when: pure       store.py         the interface, and its form in memory
desk.py    answers the messages of devices    sqlite_store.py  the form on disk
"""

from .desk import RecordDesk
from .sqlite_store import SqliteRecordStore
from .store import BatchCommit, KeptRecord, MemoryRecordStore, RecordBatch, RecordStore

__all__ = [
    "BatchCommit",
    "KeptRecord",
    "MemoryRecordStore",
    "RecordBatch",
    "RecordDesk",
    "RecordStore",
    "SqliteRecordStore",
]
