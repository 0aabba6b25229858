"""The models that a gateway opens."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from mastra_ros.config import GatewayConfig
from mastra_ros.errors import ConfigError, ModelError
from mastra_ros.gateway.metrics import Metrics
from mastra_ros.gateway.models import Models
from mastra_ros.inference import Detector


@pytest.mark.parametrize(("views_max", "seen"), [(2, 2), (1, 1)])
def test_a_frame_is_seen_as_often_as_the_bundle_wants_and_the_gateway_allows(
    views_max: int, seen: int
) -> None:
    async def opened() -> int:
        config = GatewayConfig(bundles=("models/board_defects",), views_max=views_max)
        models = await Models.open(config, Metrics())
        try:
            detector = models.get().detector
            assert isinstance(detector, Detector)
            return detector.views
        finally:
            await models.close()

    assert asyncio.run(opened()) == seen


def test_two_bundles_of_one_name_are_refused_by_that_name(bundle: Path) -> None:
    config = GatewayConfig(bundles=(str(bundle), str(bundle)))
    with pytest.raises(ConfigError, match="expected different names, got white_cells twice"):
        asyncio.run(Models.open(config, Metrics()))


def test_a_bundle_with_a_label_twice_ends_the_start_of_the_gateway_by_that_label(
    bundle: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(bundle, tmp_path / "twice")
    text = (folder / "bundle.yaml").read_text()
    (folder / "bundle.yaml").write_text(text.replace("- spot", "- spot\n- scratch\n- spot"))
    with pytest.raises(ModelError, match="labels: expected different texts, got 'spot' at 0, 2"):
        asyncio.run(Models.open(GatewayConfig(bundles=(str(folder),)), Metrics()))
