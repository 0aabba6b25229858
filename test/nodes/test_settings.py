"""What the gateway asks for reaches the nodes beside the bridge, as far as they take it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rclpy.parameter import Parameter

from mastra_ros.bridge.fake_gateway import FakeGateway
from mastra_ros.nodes.bridge import BridgeNode
from mastra_ros.nodes.compression import CompressionNode
from mastra_ros.nodes.settings import SettingsForwarder
from mastra_ros.protocol import Settings
from mastra_ros.protocol.keys import add_device, init_keys

ASKED = {
    "compression.quality": 60,
    "compression.codec": "png",
    "bridge.device": "other",
    "nonsense": 1,
}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    init_keys(folder)
    add_device(folder, "camera-1")
    return folder


def bridge(ros: Any, keys: Path, gateway: FakeGateway, **values: Any) -> BridgeNode:
    values = {
        "gateway": gateway.uri,
        "keys_dir": str(keys),
        "spool_path": str(keys.parent / "spool.sqlite"),
        **values,
    }
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node: BridgeNode = ros.add(BridgeNode(parameter_overrides=overrides, **ros.options))
    assert node.autostart()
    return node


def test_live_parameters_follow_the_gateway_and_all_else_stays(
    ros: Any, keys: Path, wait_until: Callable[..., None]
) -> None:
    with FakeGateway(keys, settings=ASKED) as gateway:
        node = bridge(ros, keys, gateway)
        wait_until(lambda: node.status is not None and node.status.link.connected, "a link")
        # The other node may come later than the wish.
        compression = ros.add(CompressionNode(**ros.options))
        assert compression.autostart()
        wait_until(lambda: compression.config.quality == 60, "the quality asked for")
        assert compression.config.codec == "auto"
        assert node.config.device == "camera-1"
        told = node._settings.told
        wait_until(lambda: told().get("values") == {"compression.quality": 60}, "what was taken")
        assert set(told()["refused"]) == set(ASKED) - {"compression.quality"}
        compression.close()
        node.close()


def test_what_leads_to_the_gateway_is_not_the_gateways_to_change(ros: Any) -> None:
    forwarder = SettingsForwarder(ros.node("beside"))
    forwarder.take({**ASKED, "gateway.threads": 4, "elsewhere.rate_hz": 1.0, "camera.": 1})
    assert forwarder._settings._waiting == {"compression": {"quality": 60}}
    assert forwarder.refused == 6


HOSTILE = {
    "compression.quality": {"a": 1},
    "compression.change_threshold": [1, "x", None],
    "scheduling.deadline_ms": float("nan"),
    "scheduling.use_sim_time": True,
    "compression.use_sim_time": True,
    "pipeline.qos_overrides./result.publisher.depth": 1,
    "scheduling.policy": "x" * 1024,
    "scheduling.load_high": 2**62,
    "pipeline.reject_score": None,
    "camera.source": "rtsp://elsewhere",
}


def test_no_setting_of_the_gateway_ends_a_node_or_its_timers(
    ros: Any, keys: Path, wait_until: Callable[..., None]
) -> None:
    """A map or mixed list raised a TypeError in the timer, and the process died."""
    with FakeGateway(keys, settings=HOSTILE) as gateway:
        compression = ros.add(CompressionNode(**ros.options))
        assert compression.autostart()
        node = bridge(ros, keys, gateway)
        wait_until(lambda: node._settings.refused >= len(HOSTILE), "the refusals")
        gateway.say(Settings({"compression.quality": 61}))
        wait_until(lambda: compression.config.quality == 61, "a good wish among bad ones")
        assert not compression.get_parameter("use_sim_time").value
        assert node.status is not None
        assert node.status.link.connected
        compression.close()
        node.close()


def test_a_flood_of_settings_ends_the_session_and_not_the_device(
    ros: Any, keys: Path, wait_until: Callable[..., None]
) -> None:
    with FakeGateway(keys) as gateway:
        node = bridge(ros, keys, gateway)
        wait_until(lambda: node.status is not None and node.status.link.connected, "a link")
        assert node.status is not None
        before = node.status.session
        with contextlib.suppress(Exception):  # the device hangs up in the midst of it
            for n in range(3000):
                gateway.say(Settings({"compression.quality": 1 + n % 100, f"x.{n}": n}))
        wait_until(
            lambda: node.status is not None and node.status.session > before, "a new session"
        )
        assert node._settings.refused <= 200
        node.close()


def test_a_device_may_refuse_to_be_changed(
    ros: Any, keys: Path, wait_until: Callable[..., None]
) -> None:
    with FakeGateway(keys, settings=ASKED) as gateway:
        compression = ros.add(CompressionNode(**ros.options))
        assert compression.autostart()
        node = bridge(ros, keys, gateway, accept_settings=False)
        wait_until(lambda: node.status is not None and node.status.link.connected, "a link")
        node._settings.forward()
        assert not node._settings._settings._waiting
        assert compression.config.quality == 0
        compression.close()
        node.close()
