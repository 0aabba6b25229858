"""What devices tell of themselves, kept in memory for some minutes, and who was heard when."""

from .board import Entry, StatusBoard
from .hearing import Hearing

__all__ = ["Entry", "Hearing", "StatusBoard"]
