"""Factory inspection: verdicts on the boards of a line, from the results of their frames."""

from .board_locator import BoardSpan, locate_boards
from .inspection import FactoryInspection, Verdict
from .log import VerdictLog
from .pictures import PictureFolder
from .records import VerdictRecords

__all__ = [
    "BoardSpan",
    "FactoryInspection",
    "PictureFolder",
    "Verdict",
    "VerdictLog",
    "VerdictRecords",
    "locate_boards",
]
