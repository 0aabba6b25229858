"""A bad network on one machine: faults with a schedule, and the TCP relay that plays them."""

from .faults import Fault, LinkShape, link_at
from .grammar import parse_faults, read_faults, read_script
from .proxy import ShapingProxy
from .trace import Trace, load_trace

__all__ = [
    "Fault",
    "LinkShape",
    "ShapingProxy",
    "Trace",
    "link_at",
    "load_trace",
    "parse_faults",
    "read_faults",
    "read_script",
]
