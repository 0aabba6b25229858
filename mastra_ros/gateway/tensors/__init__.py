"""Models that are served as they are: tensors in, tensors out, here or on another server."""
