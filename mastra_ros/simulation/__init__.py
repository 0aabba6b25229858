"""The real scheduler on recorded links, faster than real time."""
