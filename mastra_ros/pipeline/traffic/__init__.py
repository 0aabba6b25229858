"""Traffic: vehicles and plates at the edge; flow and the timing of signals at the gateway."""
