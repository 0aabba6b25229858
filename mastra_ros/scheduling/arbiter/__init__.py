"""Sees to it that every frame gets exactly one final result, whichever way it took. Pure."""
