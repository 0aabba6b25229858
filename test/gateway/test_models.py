"""The models that a gateway opens."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
import yaml

from mastra_ros.config import GatewayConfig
from mastra_ros.errors import ConfigError, ModelError
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


def test_one_threshold_for_two_views_is_told_where_one_view_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A bundle from before thresholds belonged to views."""
    folder = tmp_path / "old"
    shutil.copytree("models/board_defects", folder)
    document = yaml.safe_load((folder / "bundle.yaml").read_text())
    document["format"] = 1
    cloud = document["parts"]["cloud"]
    cloud["score_threshold"] = cloud.pop("score_thresholds")[2]
    (folder / "bundle.yaml").write_text(yaml.safe_dump(document))

    async def opened(views_max: int) -> None:
        config = GatewayConfig(bundles=(str(folder),), views_max=views_max)
        await (await Models.open(config, Metrics())).close()

    asyncio.run(opened(2))
    assert not caplog.records
    asyncio.run(opened(1))
    (record,) = caplog.records
    assert "its score threshold 0.42 is for 2 views, and is used with one" in record.getMessage()
