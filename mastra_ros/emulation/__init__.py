"""A bad network on one machine: faults with a schedule, and the TCP relay that plays them."""
