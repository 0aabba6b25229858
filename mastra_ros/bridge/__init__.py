"""The device's end of the link: the socket around the session, reconnecting, the spool on disk.

client.py      the thread, reconnecting, what the node calls
uplink.py      one session on a socket     delivery.py           what becomes of each packet
connection.py  opening the WebSocket       flight.py, outbox.py  what is under way, what waits
spool.py       the spool's interface       sqlite_spool.py, spool_thread.py  on disk, off loop
"""

from .client import BridgeClient
from .paths import spool_path
from .spool import MemorySpool, Spool, SpoolStats
from .sqlite_spool import SqliteSpool
from .status import BridgeStatus

__all__ = [
    "BridgeClient",
    "BridgeStatus",
    "MemorySpool",
    "Spool",
    "SpoolStats",
    "SqliteSpool",
    "spool_path",
]
