"""What `/metrics` says of traffic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mastra_ros.pipeline.application import Figure

from ..flow.camera import INTERVAL_NS, CameraFlow

SHOWN = {
    "flow_per_h": ("flow_vehicles_per_hour", "Vehicles an hour in the last whole minute"),
    "speed_kmh": ("speed_kmh", "Mean speed at the line in the last whole minute"),
    "queue_max": ("queue_vehicles", "Longest queue in the last whole minute"),
    "delay_s": ("delay_seconds", "Estimated delay a vehicle in the last whole minute"),
    "occupancy": ("occupancy_ratio", "Share of the last whole minute in which the lane was held"),
    "seen": ("seen_ratio", "Share of the last whole minute that the camera saw"),
}


def figures_of(cameras: Mapping[tuple[str, str], CameraFlow]) -> Iterator[Figure]:
    """Counters of all time, and gauges of the last whole minute of each lane."""
    for (device, stream), camera in sorted(cameras.items()):
        of = {"device": device, "stream": stream}
        for kind, count in sorted(camera.crossings.items()):
            labels = {**of, "type": kind}
            yield Figure("crossings", "Vehicles that crossed a line", count, labels, counter=True)
        yield Figure(
            "wrong_way", "Vehicles against the direction", camera.wrong_way, of, counter=True
        )
        yield Figure("camera_counts", "1 while the camera counts", float(camera.counts), of)
        end_ns = camera.newest_ns // INTERVAL_NS * INTERVAL_NS
        for row in camera.intervals(end_ns - INTERVAL_NS, end_ns, 1):
            labels = {**of, "line": row["line"], "lane": row["lane"]}
            for key, (name, doc) in SHOWN.items():
                if row[key] is not None:
                    yield Figure(name, doc, row[key], labels)
