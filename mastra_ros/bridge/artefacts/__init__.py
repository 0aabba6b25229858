"""Artefacts on their way down: asked for in pieces, stored whole, acknowledged.

folder.py     where they are stored          lane.py    the part of a session that fetches them
receiving.py  what to ask for next: pure     beside.py  how much, beside live packets: pure
"""

from .beside import Beside
from .folder import ArtefactFolder, Received
from .lane import ArtefactLane
from .receiving import Link

__all__ = ["ArtefactFolder", "ArtefactLane", "Beside", "Link", "Received"]
