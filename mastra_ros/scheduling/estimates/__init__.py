"""What is known of load, link and the ways of frames, and what it lets one expect. Pure."""
