"""What stands on every screen and in every artefact of this pipeline."""

BANNER = "RESEARCH USE ONLY - NOT A MEDICAL DEVICE"
