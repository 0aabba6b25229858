"""The traffic pipeline's half at the gateway: flow and signal plans from the records of cameras."""
