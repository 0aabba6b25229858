"""The probe, over real TLS and a link that can be spoilt; the gateway is a scripted one."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from mastra_ros.bridge.fake_gateway import FakeGateway
from mastra_ros.bridge.probe import Limits, ProbeReport, probe_link
from mastra_ros.config import BridgeConfig
from mastra_ros.emulation import ShapingProxy, parse_faults
from mastra_ros.errors import AuthenticationError, LinkError
from mastra_ros.protocol.keys import add_device, init_keys

SHORT = Limits(idle_s=0.4, busy_s=1.0, bytes_max=262_144)


def probe(keys: Path, port: int, limits: Limits = SHORT, **changes: object) -> ProbeReport:
    config = BridgeConfig(
        gateway=f"wss://127.0.0.1:{port}",
        keys_dir=str(keys),
        connect_timeout_s=float(str(changes.pop("connect_timeout_s", 10.0))),
    )
    assert not changes
    return asyncio.run(probe_link(config, limits))


def test_a_good_link_is_measured(keys: Path, gateway: FakeGateway) -> None:
    report = probe(keys, gateway.port)
    assert report.tls.startswith("TLSv1.3")
    assert report.tcp_ms > 0
    assert report.tls_ms > 0
    assert len(report.rtt_ms) >= 3
    assert report.srtt_ms > 0
    assert report.jitter_ms >= 0
    assert report.bytes_up == report.bytes_down == SHORT.bytes_max
    assert report.goodput_up_bps > 1e6
    assert report.goodput_down_bps > 1e6
    link = report.link()
    assert link.connected
    assert link.rtt_ms == report.srtt_ms
    assert link.goodput_bps == report.goodput_up_bps


def test_delay_and_rates_of_each_direction_are_seen(keys: Path, gateway: FakeGateway) -> None:
    faults = parse_faults("delay=100ms@0s,up:rate=2mbit@0s,down:rate=4mbit@0s")
    with ShapingProxy("127.0.0.1", gateway.port, faults) as proxy:
        report = probe(keys, proxy.port)
    assert min(report.rtt_ms) >= 99
    assert 0.3e6 < report.goodput_up_bps < 2.1e6
    assert 0.3e6 < report.goodput_down_bps < 4.2e6
    assert report.tcp_ms < 50, "TCP ends at the proxy"
    assert report.tls_ms >= 99


def test_a_slow_link_is_not_filled_for_longer_than_allowed(
    keys: Path, gateway: FakeGateway
) -> None:
    with ShapingProxy("127.0.0.1", gateway.port, parse_faults("rate=512kbit@0s")) as proxy:
        report = probe(keys, proxy.port, Limits(0.2, 0.5, 4_194_304))
    assert report.bytes_up < 600_000
    assert report.bytes_down < 600_000


def test_a_gateway_that_is_not_there_is_one_clear_error(keys: Path, gateway: FakeGateway) -> None:
    with (
        ShapingProxy("127.0.0.1", gateway.port, parse_faults("down@0s")) as proxy,
        pytest.raises(LinkError, match=r"no TLS session within 0\.3 s"),
    ):
        probe(keys, proxy.port, connect_timeout_s=0.3)


def test_a_gateway_of_another_authority_is_not_trusted(
    tmp_path: Path, gateway: FakeGateway
) -> None:
    init_keys(tmp_path / "other")
    add_device(tmp_path / "other", "camera-1")
    with pytest.raises(AuthenticationError, match="not trusted"):
        probe(tmp_path / "other", gateway.port)


def test_unknown_figures_are_no_numbers() -> None:
    report = ProbeReport("wss://gateway.example:8443")
    assert math.isnan(report.goodput_up_bps)
    assert math.isnan(report.jitter_ms)
