"""What an application makes of results: here, verdicts on the boards of a factory line."""

from mastra_ros.pipeline.board_locator import BoardSpan, locate_boards
from mastra_ros.pipeline.factory import FactoryInspection, Verdict
from mastra_ros.pipeline.log import VerdictLog
from mastra_ros.pipeline.overlay import draw
from mastra_ros.pipeline.pictures import PictureFolder

__all__ = [
    "BoardSpan",
    "FactoryInspection",
    "PictureFolder",
    "Verdict",
    "VerdictLog",
    "draw",
    "locate_boards",
]
