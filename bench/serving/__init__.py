"""Loads for servers of models: clients that cost next to nothing beside what they measure."""
