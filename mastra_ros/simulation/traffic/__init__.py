"""Junctions on a real traffic engine, SUMO: a closed loop of cameras, records, plans, signals."""
