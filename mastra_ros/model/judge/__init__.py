"""How good and how fast the parts of a bundle are, with the reports of it."""
