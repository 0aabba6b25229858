"""The server: authenticates devices, infers their frames in batches, keeps every result once."""
