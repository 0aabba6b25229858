"""Volumes of tracked pictures and of stacks of slices: what ultrasound and CT share."""
