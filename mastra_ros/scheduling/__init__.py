"""Chooses a route for each frame and sees to it that each gets exactly one final result."""
