"""Changing what devices do: the book of what is wanted of them, and of who changed what."""

from .book import AuditRow, SettingRow, SteeringBook

__all__ = ["AuditRow", "SettingRow", "SteeringBook"]
