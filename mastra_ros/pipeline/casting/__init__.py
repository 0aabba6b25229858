"""Hidden defects in castings: voids in a stack of CT slices, measured and judged by limits."""
