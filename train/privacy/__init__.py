"""Training of the detector of number plates and heads, on drawn pictures."""
