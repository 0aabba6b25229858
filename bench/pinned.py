"""Imported first by benchmarks: what `engine: auto` stands for, so that runs can be compared.

MASTRA_ENGINE=auto (or an engine) in the environment measures with that instead.
"""

from __future__ import annotations

import os

os.environ.setdefault("MASTRA_ENGINE", "bundle")
