"""A process beside the gateway's, and what the two say to each other about groups of frames."""
