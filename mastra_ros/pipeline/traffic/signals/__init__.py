"""Policies of signal timing: what is known of a junction now, and which phase comes next."""
