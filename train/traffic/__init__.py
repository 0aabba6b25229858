"""Training of the detector of vehicles and of the reader of plates."""
