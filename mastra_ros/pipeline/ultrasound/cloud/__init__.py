"""The half of it at the gateway: sweeps become volumes, measurements and reports."""
