"""What a site needs and costs: all on the devices, all on servers, or Mastra between them. Pure."""

from .cost import Plan, Strategy, make_plan
from .measured import measured_ms
from .needs import Models, Needs
from .prices import Prices, load_prices
from .sweep import Cell, sweep

__all__ = [
    "Cell",
    "Models",
    "Needs",
    "Plan",
    "Prices",
    "Strategy",
    "load_prices",
    "make_plan",
    "measured_ms",
    "sweep",
]
