"""Finds and hides faces, plates, burned-in names; only it makes a ClearedFrame."""
