"""A bundle goes out over TLS from a gateway to a real inference node, and back again."""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from mastra_ros import msg
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.nodes import convert
from mastra_ros.nodes.bridge import BridgeNode
from mastra_ros.nodes.inference import InferenceNode
from mastra_ros.nodes.lifecycle import RELIABLE
from mastra_ros.protocol.clients import add_client, client_audience, load_client_key
from mastra_ros.protocol.keys import add_device, init_keys
from mastra_ros.protocol.tls import client_context
from mastra_ros.protocol.tokens import sign_token
from test.gateway.conftest import write_model

LABELS = ["spot"]


def write_bundle(folder: Path, version: str, labels: list[str] = LABELS) -> str:
    """A bundle of the tiny model; its digest."""
    folder.mkdir(parents=True)
    write_model(folder / "model.onnx")
    part = {
        "file": "model.onnx",
        "engine": "onnxruntime",
        "sha256": hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest(),
        "model": "white_cells",
        "version": version,
        "score_threshold": 0.4,
    }
    document = {
        "format": 1,
        "name": "white_cells",
        "version": version,
        "task": "detection",
        "labels": labels,
        "input": {
            "width_px": 64,
            "height_px": 64,
            "colour": "gray",
            "resize": "letterbox",
            "pad_value": 0,
            "mean": [0.0],
            "std": [255.0],
        },
        "output": {"kind": "anchor_free", "stride_px": 8, "nms_iou": 0.4},
        "parts": {"local": part, "cloud": part},
    }
    (folder / "bundle.yaml").write_text(yaml.safe_dump(document))
    return hashlib.sha256((folder / "bundle.yaml").read_bytes()).hexdigest()


class Site:
    """A gateway and one device."""

    def __init__(self, folder: Path, ros: Any, bundles_dir: str) -> None:
        self.folder, self.ros = folder, ros
        self.old = write_bundle(folder / "old", "1.0.0")
        self.new = write_bundle(folder / "rollouts" / "new", "2.0.0")
        write_bundle(folder / "rollouts" / "renamed", "3.0.0", ["stain"])
        keys = folder / "keys"
        init_keys(keys)
        add_device(keys, "cam-1")
        add_client(keys, "olga", "operator")
        add_client(keys, "rita", "reader")
        self.keys = keys
        self.gateway = EmbeddedGateway(
            keys, [str(folder / "old")], state_dir=folder / "state", config=_config(folder)
        ).start()
        self.bundles_dir = bundles_dir
        self.nodes: list[Any] = []
        self.statuses: list[Any] = []
        self.results: list[Any] = []
        ears = ros.node("ears")
        for topic in ("local_result", "result"):  # without a scheduler it answers by itself
            ears.create_subscription(msg.InferenceResult, topic, self.results.append, RELIABLE)
        self._frames = ears.create_publisher(Image, "image_raw", RELIABLE)
        self._decisions = ears.create_publisher(msg.Decision, "decision", RELIABLE)
        self.start_device()

    def start_device(self) -> None:
        bridge = {
            "gateway": self.gateway.url.replace("https", "wss"),
            "keys_dir": str(self.keys),
            "device": "cam-1",
            "spool_path": str(self.folder / "device" / "spool.sqlite"),
            "artefacts_dir": str(self.folder / "device" / "artefacts"),
        }
        inference = {
            "bundle": str(self.folder / "old"),
            "bundles_dir": self.bundles_dir,
            "engine": "bundle",
            "warmup_runs": 1,
        }
        for kind, values in ((BridgeNode, bridge), (InferenceNode, inference)):
            given = [Parameter(name, value=value) for name, value in values.items()]
            node = self.ros.add(kind(parameter_overrides=given, **self.ros.options))
            assert node.autostart(), node.problem
            self.nodes.append(node)

    def ask(self, path: str, who: str = "olga", method: str = "GET", **options: Any) -> Any:
        token = sign_token(who, load_client_key(self.keys, who), client_audience(self.keys))
        return httpx.request(
            *(method, f"{self.gateway.url}{path}"),
            headers={"Authorization": f"Bearer {token}"},
            verify=self.tls,
            timeout=60,
            **options,
        )

    @property
    def tls(self) -> ssl.SSLContext:
        return client_context(self.keys / "ca.crt")

    def digest(self) -> str:
        """What the device's status says."""
        streams = self.ask("/v1/devices/cam-1/status").json()["streams"]
        newest = [one["newest"]["status"] for one in streams if one["newest"]]
        return str(newest[0].get("bundle", {}).get("digest", "")) if newest else ""

    def infer(self, number: int) -> None:
        """A frame that the device answers itself."""
        image = np.zeros((64, 64), np.uint8)
        image[8:16, 16:24] = 255
        message = Image(height=64, width=64, encoding="mono8", step=64)
        message.data.frombytes(image.tobytes())
        message.header.stamp = convert.stamp_to_ros(number * 10**9)
        self._frames.publish(message)
        decision = msg.Decision(header=message.header, route="local", reason="test")
        self._decisions.publish(decision)

    def rollout(self) -> dict[str, Any]:
        return dict(self.ask("/v1/rollouts").json()["rollouts"][0])

    def close(self) -> None:
        for node in self.nodes:
            node.close()
        self.gateway.stop()


def _config(folder: Path) -> Any:
    from mastra_ros.config import GatewayConfig

    return GatewayConfig(
        rollouts_dir=str(folder / "rollouts"), rollout_soak_s=0.5, engine="bundle", applications=()
    )


@pytest.fixture
def site(ros: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    made = Site(tmp_path, ros, getattr(request, "param", str(tmp_path / "device" / "bundles")))
    yield made
    made.close()


def test_a_bundle_goes_out_and_is_taken_back(site: Site, wait_until: Callable[..., None]) -> None:
    wait_until(lambda: site.digest() == site.old, "the status tells the bundle")
    body = {"bundle": "new"}
    assert site.ask("/v1/rollouts", "rita", "POST", json=body).status_code == 403
    assert site.ask("/v1/rollouts", method="POST", json={"bundle": "../old"}).status_code == 400
    refused = site.ask("/v1/rollouts", method="POST", json={"bundle": "renamed"})
    assert (refused.status_code, "labels" in refused.text) == (422, True)
    begun = site.ask("/v1/rollouts", method="POST", json=body)
    assert begun.status_code == 201, begun.text
    assert site.ask("/v1/rollouts", method="POST", json=body).status_code == 409

    number = 0

    def answered_by(version: str) -> bool:
        nonlocal number
        number += 1
        site.infer(number)
        time.sleep(0.05)
        return any(one.model_version == version for one in site.results[-3:])

    wait_until(lambda: answered_by("2.0.0"), "the new bundle answers")
    wait_until(lambda: site.rollout()["phase"] == "done", "the roll-out is done")
    assert site.digest() == site.new
    assert not [one.error for one in site.results if one.error and "ring" not in one.error]

    back = site.ask(f"/v1/rollouts/{begun.json()['id']}/back", method="POST")
    assert back.status_code == 200, back.text
    site.gateway.restart()  # the state survives
    wait_until(lambda: answered_by("1.0.0"), "the old bundle answers again")
    wait_until(lambda: site.rollout()["phase"] == "rolled_back", "it is rolled back")
    assert site.digest() == site.old
    told = [row["outcome"] for row in site.ask("/v1/audit").json()["audit"]]
    for outcome in ("begun", "given", "switched", "done", "rolled_back: asked by olga"):
        assert outcome in told, told
    assert any(outcome.startswith("refused: bundle white_cells: labels") for outcome in told)


@pytest.mark.parametrize("site", [""], indirect=True)
def test_a_device_without_a_folder_refuses_in_one_line(
    site: Site, wait_until: Callable[..., None]
) -> None:
    wait_until(lambda: site.digest() == site.old, "the status tells the bundle")
    assert site.ask("/v1/rollouts", method="POST", json={"bundle": "new"}).status_code == 201
    wait_until(lambda: site.rollout()["phase"] == "rolled_back", "it is rolled back")
    assert "inference.bundles_dir is empty" in site.rollout()["reason"]
    assert site.digest() == site.old
