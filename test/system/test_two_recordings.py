"""Two recordings with the same recorded stamps, one after the other, before one gateway."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import numpy as np

from mastra_ros.camera import Line, LineOptions
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.protocol import ResultMessage
from mastra_ros.protocol.envelope import decode
from mastra_ros.protocol.keys import add_device, init_keys
from mastra_ros.types import Result

FRAMES = 8


def record(path: Path, seed: int) -> None:
    """Eight frames of another line, at the same times."""
    line = Line(LineOptions(seed=seed, boards_per_minute=120.0, defect_rate=1.0))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=5)
        stream.width = stream.height = 640
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "12"}
        for index in range(FRAMES):
            picture = av.VideoFrame.from_ndarray(line.image(30 + 3 * index), "bgr24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def test_each_recording_gets_its_own_results_and_each_frame_counts_once(
    start: Callable[..., Any],
    tmp_path: Path,
) -> None:
    init_keys(tmp_path / "keys")
    add_device(tmp_path / "keys", "camera-1")
    for name, seed in (("a", 1), ("b", 9)):
        record(tmp_path / f"{name}.mp4", seed)
    known: dict[tuple[int, str], Result] = {}
    heard: dict[str, list[Result]] = {}
    with EmbeddedGateway(tmp_path / "keys", state_dir=tmp_path / "state") as gateway:
        for name in ("a", "b", "a"):
            sets = (
                "camera.stamps=recorded",
                "scheduling.policy=fixed",
                "scheduling.route=cloud",
                "scheduling.start_route=cloud",
                "scheduling.deadline_ms=60000.0",
                # `auto` codes by the time that the machine has, so the same frame may differ.
                "compression.codec=jpeg",
                f"bridge.keys_dir={tmp_path / 'keys'}",
                f"bridge.spool_path={tmp_path / 'spool.sqlite'}",
            )
            run = start(
                "--source",
                f"file:{tmp_path / name}.mp4",
                "--gateway",
                gateway.url.replace("https", "wss"),
                *(option for value in sets for option in ("--set", value)),
            )
            report = run.finish()
            assert (report["frames"], report["results"]) == (FRAMES, FRAMES)
            assert report["by_origin"] == {"cloud": FRAMES}
            stored = read(tmp_path / "state" / "results.sqlite3")
            finals = [stored[key] for key in sorted(stored.keys() - known.keys())]
            assert len(finals) == FRAMES, "each frame was committed once, and none twice"
            known = stored
            if name in heard:  # the same recording once more: other frames, the same answers
                assert all(map(same, heard[name], finals))
            heard[name] = finals
    stamps = {name: [r.key.stamp_ns for r in finals] for name, finals in heard.items()}
    assert stamps["a"] == stamps["b"], "the recordings must have the same stamps"
    assert sum(map(same, heard["a"], heard["b"])) <= 1, "the second has its own boards"
    assert len(known) == 3 * FRAMES


def read(path: Path) -> dict[tuple[int, str], Result]:
    """The results that a gateway has committed, by stamp and id."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT stamp_ns, frame_id, data FROM results").fetchall()
    results = {}
    for stamp_ns, frame_id, data in rows:
        message = decode(data)
        assert isinstance(message, ResultMessage)
        assert (message.stamp_ns, message.id) == (stamp_ns, frame_id)
        results[stamp_ns, frame_id] = message.to_result()
    return results


def same(one: Result, other: Result) -> bool:
    """Whether two results found the same."""
    a, b = one.detections, other.detections
    return len(a) == len(b) and bool(
        np.allclose(a.boxes, b.boxes) and (a.classes == b.classes).all()
    )
