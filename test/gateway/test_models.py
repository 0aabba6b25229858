"""The models that a gateway opens."""

from __future__ import annotations

import asyncio

import pytest

from mastra_ros.config import GatewayConfig
from mastra_ros.gateway.metrics import Metrics
from mastra_ros.gateway.models import Models
from mastra_ros.inference import Detector


@pytest.mark.parametrize(("views_max", "seen", "threshold"), [(2, 2, 0.42), (1, 1, 0.47)])
def test_a_frame_is_seen_as_often_as_the_bundle_wants_and_the_gateway_allows(
    views_max: int, seen: int, threshold: float
) -> None:
    """The threshold is that of the number of views."""

    async def opened() -> tuple[int, float]:
        config = GatewayConfig(bundles=("models/board_defects",), views_max=views_max)
        models = await Models.open(config, Metrics())
        try:
            detector = models.get().detector
            assert isinstance(detector, Detector)
            return detector.views, detector.score_threshold
        finally:
            await models.close()

    assert asyncio.run(opened()) == (seen, threshold)
