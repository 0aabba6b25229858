"""Finds and hides faces, plates, burned-in names; only it makes a ClearedFrame.

gate = open_gate(config)          # config: PrivacyConfig
cleared = gate.clear(frame)       # ClearedFrame, or Withheld
"""

from .cleared import ClearedFeatures, ClearedFrame
from .features import FeatureRule
from .gate import Gate, Opened
from .opening import hiding_nothing, open_gate
from .region import Finder, Region, mask_of
from .shared import SharedSearches

__all__ = [
    "ClearedFeatures",
    "ClearedFrame",
    "FeatureRule",
    "Finder",
    "Gate",
    "Opened",
    "Region",
    "SharedSearches",
    "hiding_nothing",
    "mask_of",
    "open_gate",
]
