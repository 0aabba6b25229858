"""Trained networks into bundles: reading, rebuilding, quantising, fine-tuning for int8."""
