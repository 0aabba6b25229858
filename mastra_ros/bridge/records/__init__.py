"""Records on their way up: kept in a file of their own until the gateway has committed them.

spool.py    the file          thread.py   the file behind a queue
sending.py  what is under way, and what an answer means: pure
lane.py     the part of a session that sends them
"""

from .lane import RecordLane
from .spool import RecordSpool, RecordStats
from .thread import RecordThread

__all__ = ["RecordLane", "RecordSpool", "RecordStats", "RecordThread"]
