"""The application `traffic`: sees what cameras and signals tell, and answers with signal plans.

`GET /v1/traffic/flow` tells the flow; `/v1/traffic/signals` what is known of the junctions. Its
state is made of records alone, so that it is the same after a restart, to the bit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from mastra_ros.artefacts import Artefact
from mastra_ros.errors import RecordError
from mastra_ros.pipeline.application import Answer, Application, Figure, Question, SeenRecord

from ..events import KINDS, Presence, Turning, event_of
from ..flow.camera import CameraFlow
from ..junction import plan as plans
from ..junction.layout import junction_of
from ..junction.records import JUNCTION, STATE, state_of
from ..signals.named import DEFAULT, make_policy
from ..signals.timing import VALID_S, Timing
from . import flow_answer
from .figures import figures_of

CAMERAS_MAX = 1000
Where = tuple[str, str]  # device and stream


class TrafficCloud(Application):
    """Flow of each camera, and the timing of the junction that each stream has told of."""

    kinds = (*KINDS, JUNCTION, STATE)
    paths = ("flow", "signals")

    def __init__(self) -> None:
        self._cameras: dict[Where, CameraFlow] = {}
        self._layouts: dict[Where, tuple[int, dict[str, Any]]] = {}  # stamp and body
        self._timings: dict[Where, Timing] = {}
        self._watched: dict[Where, list[Where]] = {}  # junctions, by camera
        self._plans: dict[Where, int] = {}  # how many were made
        self.refused = 0

    def on_record(self, record: SeenRecord) -> Iterable[Answer]:
        """Take in what is told; a plan where one is due. What makes no sense is counted."""
        where = (record.device, record.stream)
        try:
            if record.kind == JUNCTION:
                self._learn(where, record)
            elif record.kind == STATE:
                if (timing := self._timings.get(where)) is not None:
                    timing.take(state_of(record.stamp_ns, record.body))
            else:
                return self._see(where, record)
        except RecordError:
            self.refused += 1
        return ()

    def on_get(self, question: Question) -> Mapping[str, Any]:
        """Flow, or the junctions."""
        if question.path == "flow":
            return flow_answer.answer(self._cameras, question)
        return {
            "junctions": [
                {
                    "device": device,
                    "stream": stream,
                    "junction": timing.junction.name,
                    "policy": self._layouts[device, stream][1].get("policy", ""),
                    "plans": self._plans.get((device, stream), 0),
                    "no_plan_because": timing.why_not,
                    **timing.told(),
                }
                for (device, stream), timing in sorted(self._timings.items())
                if question.device in ("", device)
            ]
        }

    def figures(self) -> Iterable[Figure]:
        """Counts of vehicles by camera and type, flow and queue of the last whole minute."""
        yield Figure("records_refused", "Records that made no sense", self.refused, counter=True)
        yield from figures_of(self._cameras)
        for (device, stream), count in sorted(self._plans.items()):
            labels = {"device": device, "stream": stream}
            yield Figure("plans", "Signal plans made", count, labels, counter=True)

    def snapshot(self) -> bytes:
        """All of the state as JSON."""
        told = {
            "cameras": [[*where, one.to_plain()] for where, one in self._cameras.items()],
            "layouts": [[*where, *one] for where, one in self._layouts.items()],
            "timings": [[*where, one.to_plain()] for where, one in self._timings.items()],
            "plans": [[*where, count] for where, count in self._plans.items()],
            "refused": self.refused,
        }
        return json.dumps(told).encode()

    def restore(self, snapshot: bytes) -> None:
        """Take over a snapshot."""
        told = json.loads(snapshot)
        self.__init__()  # type: ignore[misc]
        self._cameras = {
            (device, stream): CameraFlow.of_plain(plain)
            for device, stream, plain in told["cameras"]
        }
        for device, stream, stamp_ns, body in told["layouts"]:
            self._layouts[device, stream] = (stamp_ns, body)
            self._timings[device, stream] = _timing(body)
        self._watch()
        for device, stream, plain in told["timings"]:
            self._timings[device, stream].from_plain(plain)
        self._plans = {(device, stream): count for device, stream, count in told["plans"]}
        self.refused = told["refused"]

    # -- inside ----------------------------------------------------------------------------

    def _learn(self, where: Where, record: SeenRecord) -> None:
        known_ns, known = self._layouts.get(where, (-(2**62), {}))
        if record.stamp_ns < known_ns or (known == record.body and where in self._timings):
            return
        if where not in self._timings and len(self._timings) >= CAMERAS_MAX:
            raise RecordError(f"expected at most {CAMERAS_MAX} junctions")
        body = json.loads(json.dumps(dict(record.body)))  # as it is after a restart
        self._timings[where] = _timing(body)
        self._layouts[where] = (record.stamp_ns, body)
        self._watch()

    def _watch(self) -> None:
        """Which junctions each camera sees: `cameras` of a layout names streams of its device."""
        self._watched = {}
        for (device, stream), (_, body) in self._layouts.items():
            for camera in dict.fromkeys((stream, *_cameras(body))):
                self._watched.setdefault((device, camera), []).append((device, stream))

    def _see(self, where: Where, record: SeenRecord) -> Iterable[Answer]:
        event = event_of(record)
        camera = self._cameras.get(where)
        if camera is None:
            if len(self._cameras) >= CAMERAS_MAX:
                raise RecordError(f"expected at most {CAMERAS_MAX} cameras")
            camera = self._cameras[where] = CameraFlow()
        camera.take(event)
        if not camera.counts or not isinstance(event, (Presence, Turning)):
            return ()
        told = (self._plan(one, event) for one in self._watched.get(where, (where,)))
        return [one for one in told if one is not None]

    def _plan(self, where: Where, event: Presence | Turning) -> Artefact | None:
        """What the junction of this stream is to show, where that is due."""
        timing = self._timings.get(where)
        if timing is None:
            return None
        timing.take(event)
        if not timing.due() or (plan := timing.decide()) is None:
            return None
        self._plans[where] = self._plans.get(where, 0) + 1
        good = (c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in plan.junction)
        name = "".join(good)
        return Artefact(
            plans.KIND,
            name if name[0].isalnum() else f"j{name}"[:64],
            plan.to_bytes(),
            version=str(plan.stamp_ns),
            media_type="application/json",
            expires_s=VALID_S,
            device=where[0],
            stream=where[1],
        )


def _cameras(body: Mapping[str, Any]) -> list[str]:
    names = body.get("cameras", [])
    if not isinstance(names, list) or len(names) > 32 or not all(type(n) is str for n in names):
        raise RecordError(f"cameras: expected up to 32 names of streams, got {names!r:.80}")
    return names


def _timing(body: Mapping[str, Any]) -> Timing:
    parameters = body.get("parameters", {})
    if not isinstance(parameters, Mapping):
        raise RecordError(f"parameters: expected a map, got {type(parameters).__name__}")
    _cameras(body)
    policy = make_policy(body.get("policy", DEFAULT), parameters)
    return Timing(junction_of(body), policy)
