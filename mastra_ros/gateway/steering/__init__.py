"""Changing what devices do: the book of what is wanted of them, and of who changed what."""

from .book import ROLLOUTS_KEPT, AuditRow, SettingRow, SteeringBook
from .rollout import Limits, Rollout, Seen, Wanted, to_plain

__all__ = [
    "ROLLOUTS_KEPT",
    "AuditRow",
    "Limits",
    "Rollout",
    "Seen",
    "SettingRow",
    "SteeringBook",
    "Wanted",
    "to_plain",
]
