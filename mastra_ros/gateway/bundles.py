"""Opens the models of a bundle: its cloud part, and the tail where it is split."""

from __future__ import annotations

import logging

from ..config import GatewayConfig
from ..inference import Bundle, Detector, EngineOptions, Tail, load_bundle
from ..inference.choosing.auto import AUTO, AutoDetector, open_detector
from ..inference.choosing.kept import choices_folder
from .tensors.engine import BackendEngine
from .tensors.opening import open_upstream, upstreams

_log = logging.getLogger(__name__)

PART = "cloud"
FASTER_PARTS = ("cloud_int8",)
"""What may stand for PART where the engine `auto` finds it faster."""

WARM_UP_RUNS = 2


def open_bundle(
    path: str, config: GatewayConfig
) -> tuple[str, Detector | AutoDetector, Tail | None]:
    """Its name, the model of pictures, and the tail; each has run once."""
    bundle, detector = open_pictures(path, config)
    tail = None
    if bundle.split is not None:
        tail = Tail.open(bundle, threads=config.threads)
        tail.warm_up(WARM_UP_RUNS)
    return bundle.name, detector, tail


def open_pictures(path: str, config: GatewayConfig) -> tuple[Bundle, Detector | AutoDetector]:
    """The model of a bundle, which has run once. Raises ModelError, DependencyError."""
    bundle = load_bundle(path)
    part = bundle.part(PART)
    if config.views_max == 1:
        if part.views > 1 and 1 not in part.score_thresholds:
            _log.warning(
                "%s: its score threshold %g is for %d views, and is used with one: "
                "mastra model evaluate --fit-threshold finds that for one",
                *(bundle.name, part.score_threshold, part.views),
            )
        bundle = bundle.in_one_view()
    elsewhere = upstreams(config)
    detector: Detector | AutoDetector
    if bundle.name in elsewhere:
        engine = BackendEngine(open_upstream(elsewhere[bundle.name], config))
        detector = Detector(bundle, bundle.part(PART), engine)
    else:
        detector = open_detector(
            bundle,
            _parts(bundle, config),
            config.engine,
            options=EngineOptions(
                config.threads,
                providers=config.providers,
                device=config.device,
                torch_device=config.torch_device,
            ),
            choices_dir=choices_folder(config.choices_dir),
        )
    detector.warm_up(WARM_UP_RUNS)
    return bundle, detector


def _parts(bundle: Bundle, config: GatewayConfig) -> tuple[str, ...]:
    """The part to serve, and after it those that may take its place."""
    if config.part != AUTO:
        return (config.part,)
    return (PART, *(name for name in FASTER_PARTS if name in bundle.parts))
