"""Inference: models from bundles, on whichever runtime, one by one or in batches.

A runtime is imported only when a model that needs it is opened.
"""

from .batcher import LATE, LIVE, DynamicBatcher
from .bundle import Bundle, BundleInput, BundleOutput, BundlePart, BundleSplit, load_bundle
from .detector import Detector, StageTimes
from .engines.engine import Engine, TensorSpec
from .engines.fake import FakeEngine
from .feeder import Fitted
from .head import Head
from .head_worker import HeadJob, HeadWorker
from .opening import EngineOptions, open_engine
from .tail import Tail
from .worker import InferenceWorker

__all__ = [
    "LATE",
    "LIVE",
    "Bundle",
    "BundleInput",
    "BundleOutput",
    "BundlePart",
    "BundleSplit",
    "Detector",
    "DynamicBatcher",
    "Engine",
    "EngineOptions",
    "FakeEngine",
    "Fitted",
    "Head",
    "HeadJob",
    "HeadWorker",
    "InferenceWorker",
    "StageTimes",
    "Tail",
    "TensorSpec",
    "load_bundle",
    "open_engine",
]
