"""`GET /v1/gateway` tells clients how the gateway is, and nobody else, and no secret."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import httpx

from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.gateway.metrics import Metrics
from mastra_ros.gateway.openinference.statistics import Statistics
from mastra_ros.gateway.vitals import Vitals
from mastra_ros.protocol.clients import add_client, client_audience, load_client_key
from mastra_ros.protocol.keys import audience_of, load_device_key
from mastra_ros.protocol.tokens import sign_token


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Model:
    name = "boards"
    queued = 2

    def __init__(self) -> None:
        self.statistics = Statistics()


class Models:
    def __init__(self, *models: Model) -> None:
        self._models = list(models)

    def all(self) -> list[Model]:
        return self._models


def test_rates_are_of_the_last_seconds_and_absent_before_there_are_any() -> None:
    clock, metrics, model = Clock(), Metrics(), Model()
    vitals = Vitals(
        metrics,
        Models(model),  # type: ignore[arg-type]
        software="mastra 1",
        sessions=lambda: 3,
        clock=clock,
    )
    told = vitals.read()
    assert "frames_per_s" not in told
    assert told["models"] == [
        {"name": "boards", "queued": 2, "inferences": 0, "executions": 0, "batches": {}}
    ]
    for _ in range(30):
        clock.now_s += 1.0
        for _ in range(4):
            metrics.on_frame("key", "live", "committed")
        metrics.on_frame("key", "backlog", "duplicate")
        model.statistics.ran(4, 2.0, 8.0)
        told = vitals.read()
    assert told["frames_per_s"] == 5.0
    assert told["requests_per_s"] == 4.0
    assert (told["frames"], told["requests"], told["sessions"]) == (150, 120, 3)
    (boards,) = told["models"]
    assert boards["batches"] == {"4": 30}
    assert (boards["batch_mean"], boards["queue_ms"], boards["run_ms"]) == (4.0, 2.0, 8.0)
    for _ in range(20):
        clock.now_s += 1.0
        told = vitals.read()
    assert told["frames_per_s"] == 0.0


def test_it_is_for_clients(
    keys: Path,
    tls: ssl.SSLContext,
    tmp_path: Path,
    start_gateway: Callable[..., EmbeddedGateway],
) -> None:
    add_client(keys, "vitals", "reader")
    gateway = start_gateway(tmp_path / "state", applications=())
    with httpx.Client(base_url=gateway.url, verify=tls, timeout=60) as client:
        assert client.get("/v1/gateway").status_code == 401
        device = sign_token("cam-1", load_device_key(keys, "cam-1"), audience_of(keys))
        headers = {"Authorization": f"Bearer {device}"}
        assert client.get("/v1/gateway", headers=headers).status_code == 403
        token = sign_token("vitals", load_client_key(keys, "vitals"), client_audience(keys))
        answer = client.get("/v1/gateway", headers={"Authorization": f"Bearer {token}"})
        told = answer.json()
        assert told["models"]
        assert told["memory_bytes"] > 0
        assert told["up_s"] > 0
        assert isinstance(told["gpus"], list)
        assert str(keys) not in answer.text
        assert token not in answer.text
