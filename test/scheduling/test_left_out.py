"""Frames that were not sent so that others arrive: the link is narrow, the gateway well."""

from __future__ import annotations

import pytest

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.fake import FakePolicy
from mastra_ros.scheduling.scheduler import Scheduler
from mastra_ros.types import LEFT_OUT, Detections, FrameKey, LinkSample, Result, Route

CLOUD, LOCAL = Route.CLOUD, Route.LOCAL
MS = 1_000_000


def test_they_do_not_leave_the_gateway_and_do_not_count_as_sent() -> None:
    config = SchedulingConfig(cloud_in_flight=100)
    scheduler = Scheduler(config, FakePolicy(CLOUD))
    sent, now = 0, 0
    for n in range(1, 160):
        now = n * 100 * MS
        sample = LinkSample(now, True, 20.0, last_heard_ns=now)
        scheduler.on_link(sample, now, uploaded_bytes=20_000 * sent)
        key = FrameKey("main", n)
        scheduler.on_frame(key, now, now)
        sent += n % 4 == 0
        error = "" if n % 4 == 0 else LEFT_OUT
        scheduler.on_cloud_result(Result(key, CLOUD, Detections.empty(), error=error), now + MS)
        if error:
            scheduler.on_local_result(Result(key, LOCAL, Detections.empty()), now + 2 * MS)
        assert scheduler.route is CLOUD
    assert scheduler.link(now).sample.frame_bytes == pytest.approx(20_000, rel=0.2)
