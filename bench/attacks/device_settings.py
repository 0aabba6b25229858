"""Rows of settings and labels of a gateway: whole devices, whose frames all get their results."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mastra_ros.protocol import FrameMessage, Message, ResultMessage, Settings, encode

from .pipeline import Pipeline, pipeline
from .row import Record, row
from .site import Sites, wait_until

SETTINGS, LABELS = "1 settings", "2 labels"
LABELS_MOST = 2048
DETECTIONS_MOST = 10_000


def _wish(at: Pipeline, record: Record, wishes: Sequence[Mapping[str, Any]]) -> None:
    """The gateway asks for each of these, as often as the device comes to listen."""
    for values in wishes:
        record.attempts += 1
        with contextlib.suppress(Exception):  # the device may hang up
            at.gateway.say_raw(encode(Settings(dict(values))))


@row(SETTINGS, "maps, lists of everything and impossible numbers as values")
def odd_values(sites: Sites, record: Record) -> None:
    """Each is refused in a line, and no timer ends."""
    values: list[Any] = [
        {"a": 1},
        [1, "a", 2.5, None],
        [[1], [2]],
        [],
        None,
        math.nan,
        math.inf,
        -(2**63),
        2**63,
        1e308,
        "x" * 5000,
        "line\nbreak",
        b"bytes",
        True,
    ]
    names = ["compression.quality", "camera.rate_hz", "scheduling.policy", "inference.threads"]
    at = pipeline(sites)
    with at.attacked(sites, record):
        for name in sites.some(names, 2):
            _wish(at, record, [{name: value} for value in values])
            time.sleep(0.3)


@row(SETTINGS, "use_sim_time, and what is not live or nobody's")
def not_live(sites: Sites, record: Record) -> None:
    """With use_sim_time and no clock every frame was left without result."""
    stages = ("camera", "inference", "compression", "scheduling", "pipeline", "bridge", "gateway")
    wishes: list[dict[str, Any]] = [{f"{stage}.use_sim_time": True} for stage in stages]
    wishes += [{"use_sim_time": True}, {"/camera.use_sim_time": True}, {"": True}, {".": 1}]
    wishes += [
        {"camera.source": "file:/etc/passwd"},
        {"bridge.gateway": "wss://example.com"},
        {"bridge.keys_dir": "/tmp"},  # noqa: S108
        {"inference.bundle": "/nowhere"},
        {"pipeline.pictures_dir": "/etc"},
        {"camera.start_type_description_service": False},
        {"camera.qos_overrides./x.publisher.depth": 1},
    ]
    at = pipeline(sites)
    with at.attacked(sites, record):
        _wish(at, record, wishes)
        at.gateway.answer = lambda frame: []  # noqa: ARG005 - deadlines must go on without it


@row(SETTINGS, "a flood of settings")
def flood(sites: Sites, record: Record) -> None:
    """Legal ones and others, as fast as they go."""
    at = pipeline(sites)
    legal = [encode(Settings({"compression.quality": 40 + n % 50})) for n in range(50)]
    others = [encode(Settings({f"x.{n}": n, "compression.quality": "much"})) for n in range(50)]
    with at.attacked(sites, record):
        for n in range(sites.over_runs(1500, 50_000)):
            with contextlib.suppress(Exception):
                at.gateway.say_raw((legal if n % 2 else others)[n % 50])
            record.attempts += 1


@row(SETTINGS, "a message with thousands of settings")
def many_at_once(sites: Sites, record: Record) -> None:
    """One message may have many values, and few are told."""
    at = pipeline(sites)
    with at.attacked(sites, record):
        for _ in range(sites.over_runs(3, 30)):
            values = {f"nonsense.{n}\n{n}": n for n in range(5000)}
            _wish(at, record, [values])


def _result(
    frame: FrameMessage, labels: tuple[str, ...], classes: Sequence[int], **changes: Any
) -> Message:
    """A result with a detection of each of these classes."""
    number = len(classes)
    side_px = frame.width_px / 8
    box = np.array([side_px, side_px, 2 * side_px, 2 * side_px], "<f4")
    values: dict[str, Any] = {
        "boxes": np.tile(box, (number, 1)).tobytes(),
        "scores": np.full(number, 0.9, "<f4").tobytes(),
        "classes": np.asarray(classes, "<i4").tobytes(),
        "labels": labels,
        "model": "another",
        "late": frame.late,
        "id": frame.id,
    }
    return ResultMessage(frame.stream, frame.stamp_ns, "cloud", **{**values, **changes})


def _labelled(
    sites: Sites,
    record: Record,
    results: Sequence[tuple[tuple[str, ...], Sequence[int]]],
    *,
    heard: bool,
) -> None:
    """The gateway answers with these labels in turn; whether they are heard, and by name."""
    at = pipeline(sites)
    count = [0]
    wanted = {tuple(labels[c] for c in classes) for labels, classes in results} if heard else set()

    def answer(frame: FrameMessage) -> list[Message]:
        labels, classes = results[count[0] % len(results)]
        count[0] += 1
        record.attempts += 1
        _, acknowledged = at.gateway.commit(frame)
        return [_result(frame, labels, classes), acknowledged]

    def named() -> set[tuple[str, ...]]:
        found = [result.detections for result in list(at.watch.finals.values())]
        return {tuple(d.labels[c] for c in d.classes.tolist()) for d in found}

    with at.attacked(sites, record):
        at.gateway.answer = answer
        wait_until(lambda: count[0] >= sites.over_runs(len(results), 5 * len(results)), 90.0)
        if heard:
            wait_until(lambda: wanted <= named())


@row(LABELS, "a model with fewer labels, and then ours again")
def fewer(sites: Sites, record: Record) -> None:
    """Two models live together, and each result has its own names."""
    ours = ("open", "short", "mousebite", "spur", "copper", "pin-hole")
    _labelled(sites, record, [(("flaw",), [0, 0]), (ours, [5])], heard=True)


@row(LABELS, "the same labels in another order")
def reordered(sites: Sites, record: Record) -> None:
    """Names count, not numbers."""
    other = ("pin-hole", "copper", "spur", "mousebite", "short", "open")
    _labelled(sites, record, [(other, [0, 5]), (other[::-1], [1])], heard=True)


@row(LABELS, "classes that no label has")
def beyond(sites: Sites, record: Record) -> None:
    """Such results are refused, and the device answers its frames by itself."""
    bad: list[tuple[tuple[str, ...], Sequence[int]]] = [
        (("flaw",), [1]),
        (("flaw",), [-1]),
        ((), [0]),
        (("a", "b"), [0, 2**31 - 1]),
    ]
    _labelled(sites, record, bad, heard=False)


@row(LABELS, "thousands of labels, and of detections")
def thousands(sites: Sites, record: Record) -> None:
    """As many as a message may have."""
    labels = tuple(f"label {n} " + "x" * 100 for n in range(LABELS_MOST))
    many = (np.arange(DETECTIONS_MOST) % LABELS_MOST).tolist()
    _labelled(sites, record, [(labels, [0, LABELS_MOST - 1]), (labels, many)], heard=False)


@row(LABELS, "labels that are empty, repeated, or forge lines and names")
def odd_labels(sites: Sites, record: Record) -> None:
    """They are texts, and no more."""
    odd = ("", "a\nb", "\x1b[31m", "a" * 256, "{label}", "%s", "../../x", "\u202e", "same", "same")
    _labelled(sites, record, [(odd, list(range(len(odd))))], heard=False)


@row(LABELS, "other labels with every result")
def ever_others(sites: Sites, record: Record) -> None:
    """Each result is read by its own, however many there have been."""
    count = sites.over_runs(3, 40)
    ever = [((f"kind {n}", f"no kind {n}"), [n % 2, 0]) for n in range(count)]
    _labelled(sites, record, ever, heard=True)
