"""A bad network on one machine: faults with a schedule, and the TCP relay that plays them."""

from .faults import Fault, LinkShape, link_at, parse_faults
from .proxy import ShapingProxy

__all__ = ["Fault", "LinkShape", "ShapingProxy", "link_at", "parse_faults"]
