"""Changing what devices do: the book of what is wanted of them, and of who changed what."""

from .book import AuditRow, SettingRow, SteeringBook
from .rollout import Limits, Rollout, Seen, Wanted, to_plain

__all__ = [
    "AuditRow",
    "Limits",
    "Rollout",
    "Seen",
    "SettingRow",
    "SteeringBook",
    "Wanted",
    "to_plain",
]
