"""Scenes that are drawn: printed circuit boards and the line that carries them."""
