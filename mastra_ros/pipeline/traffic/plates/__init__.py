"""Plates: found within vehicles, straightened, read, voted on, and told as a keyed hash."""
