"""The models that a gateway opens."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import threading
from pathlib import Path

import pytest
import yaml

from mastra_ros.config import GatewayConfig
from mastra_ros.errors import ConfigError, ModelError
from mastra_ros.gateway.metrics import Metrics
from mastra_ros.gateway.models import Inferred, Models
from mastra_ros.inference import Bundle, Detector, load_bundle
from mastra_ros.inference.choosing import auto
from mastra_ros.inference.choosing.candidates import Candidate
from mastra_ros.inference.choosing.decide import Trial
from mastra_ros.inference.choosing.pictures import drawn_frames
from mastra_ros.share import share_file
from mastra_ros.types import Detections

DEADLINE_S = 120.0
needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)


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
    with pytest.raises(
        ConfigError, match="expected different names or versions, got white_cells .* twice"
    ):
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
    shutil.copytree(share_file("models/board_defects"), folder)
    document = yaml.safe_load((folder / "bundle.yaml").read_text())
    document["format"] = 1
    cloud = document["parts"]["cloud"]
    cloud["score_threshold"] = cloud.pop("score_thresholds")[2]
    document["parts"].pop("cloud_int8")
    (folder / "bundle.yaml").write_text(yaml.safe_dump(document))

    async def opened(views_max: int) -> None:
        config = GatewayConfig(bundles=(str(folder),), views_max=views_max)
        await (await Models.open(config, Metrics())).close()

    asyncio.run(opened(2))
    assert not caplog.records
    asyncio.run(opened(1))
    (record,) = caplog.records
    assert "its score threshold 0.42 is for 2 views, and is used with one" in record.getMessage()


@pytest.mark.parametrize(
    ("chosen", "engine", "model"),
    [
        ({"engine": "bundle"}, "onnxruntime on cloud", "board_defects_gateway"),
        (
            {"engine": "bundle", "part": "cloud_int8"},
            "onnxruntime on cloud_int8",
            "board_defects_gateway_int8",
        ),
        pytest.param(
            {"engine": "openvino"},
            "openvino on cloud",
            "board_defects_gateway",
            marks=needs_openvino,
        ),
    ],
)
def test_engine_and_part_can_be_named(chosen: dict[str, str], engine: str, model: str) -> None:
    async def opened() -> tuple[str, str]:
        models = await Models.open(GatewayConfig(**chosen), Metrics())
        try:
            served = models.get()
            return served.engine, served.detector.model
        finally:
            await models.close()

    assert asyncio.run(opened()) == (engine, model)


@needs_openvino
def test_frames_name_the_model_that_ran_while_the_engine_auto_goes_over_to_the_int8_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MASTRA_ENGINE")
    go = threading.Event()

    def measured(bundle: Bundle, candidates: list[Candidate], *_: object, **__: object) -> object:
        assert go.wait(DEADLINE_S)
        empty = Detections.empty(bundle.labels)
        speeds = {
            Candidate("cloud", "onnxruntime"): 50.0,
            Candidate("cloud", "openvino"): 27.0,
            Candidate("cloud_int8", "onnxruntime"): 17.0,
            Candidate("cloud_int8", "openvino"): 15.0,
        }
        assert set(candidates) == set(speeds)
        return [Trial(one, (ms,) * 8, (empty,) * 8) for one, ms in speeds.items()]

    monkeypatch.setattr(auto, "measure", measured)

    async def answered() -> list[Inferred]:
        config = GatewayConfig(views_max=1, choices_dir=str(tmp_path / "choices"))
        models = await Models.open(config, Metrics())
        try:
            served = models.get()
            frames = drawn_frames(load_bundle("models/board_defects").input)
            first = await served.infer(frames[0])
            go.set()
            assert await asyncio.to_thread(served.detector.await_choice, DEADLINE_S)
            rest = await asyncio.gather(*(served.infer(frames[0]) for _ in range(4)))
            assert served.engine.startswith("openvino on cloud_int8 (onnxruntime on cloud 50.0 ms")
            return [first, *rest]
        finally:
            await models.close()

    given = asyncio.run(answered())
    assert [one.model for one in given] == [
        "board_defects_gateway",
        *["board_defects_gateway_int8"] * 4,
    ]
    assert all(len(one.detections) > 20 for one in given)
    assert len(list((tmp_path / "choices").iterdir())) == 1
