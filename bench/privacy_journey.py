"""Faces and plates pasted into a street, through the nodes, up to what the gateway decodes.

    python -m bench.privacy_journey [--frames N] [--rate HZ] [--out FILE]

`mastra run factory_inspection` with YOLOX-nano as the task's model and the default gate; every
frame goes to the gateway; on a machine that is too busy for --rate, those that the gate comes to in
time. The packets are decoded as the gateway does, and looked at by the finders
and a reader of text: what they find where a face or plate was pasted. Needs ROS, MASTRA_DATA and
the default finders.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.bars import RESULTS, judged
from bench.plate_reader import PlateReader, plain
from bench.privacy_parts import entered, run_of
from bench.privacy_pictures import Image, Truth, carried, faces, plates, street
from mastra_ros.compression import Decoder
from mastra_ros.config import PrivacyConfig
from mastra_ros.config.known_models import known_model
from mastra_ros.model.fetch import get_model
from mastra_ros.nodes import convert
from mastra_ros.privacy import Region
from mastra_ros.privacy.finders import DEFAULT, FINDERS
from mastra_ros.types import Packet

SIZE_PX = (1280, 720)
SAME_IOU = 0.3
"""From this overlap on, what a finder finds is the face or plate that was pasted there."""
RUN_TIMEOUT_S = 500.0


class Street:
    """Frames of crossing.mp4 with faces and plates carried along known paths."""

    def __init__(self, data: Path, frames: int) -> None:
        heads, cars = faces(data), list(plates(data))
        self.images = street(data, frames, SIZE_PX)
        self.truths = [carried(im, n, heads, cars) for n, im in enumerate(self.images)]

    def nearest(self, image: Image) -> int:
        """Which frame a picture was made of: masks cover little of it."""
        small = [cv2.resize(one, (160, 90), interpolation=cv2.INTER_AREA) for one in self.images]
        seen = cv2.resize(image, (160, 90), interpolation=cv2.INTER_AREA)
        return int(np.argmin([np.median(cv2.absdiff(one, seen).mean(2)) for one in small]))

    def listening(self, add: Callable[..., Any]) -> Heard:
        """Hear every packet; `add` makes a node and spins it."""
        return Heard(add)


class Heard:
    """The packets that a run sends up."""

    def __init__(self, add: Callable[..., Any]) -> None:
        from rclpy.node import Node

        from mastra_ros.msg import Packet as PacketMsg
        from mastra_ros.nodes.lifecycle import RELIABLE

        self.packets: list[Packet] = []
        node = add(lambda **options: Node("listening", **options))
        node.create_subscription(PacketMsg, "packet", self._on_packet, RELIABLE)

    def _on_packet(self, message: Any) -> None:
        self.packets.append(convert.packet_from_ros(message, "main"))

    def decoded(self) -> list[Image]:
        """As the gateway does it."""
        decoder = Decoder()
        return [np.asarray(decoder.decode(packet).image) for packet in self.packets]


def options_of(pictures: Path, bundle: Path, hide: str, rate_hz: float = 1.0) -> tuple[str, ...]:
    """Of `mastra run factory_inspection`: all pictures to the gateway, through the default gate."""
    values = {
        "scheduling.policy": "fixed",
        "scheduling.route": "cloud",
        "scheduling.deadline_ms": "60000.0",
        "privacy.mode": "faces_and_plates",
        "privacy.hide": hide,
        "privacy.timeout_ms": "60000.0",
        "inference.bundle": str(bundle),
        "gateway.bundles": f"[{bundle}]",
        "compression.codec": "jpeg",
        "compression.quality": "95",
        "compression.key_interval_frames": "0",  # whoever begins to listen late understands them
        "pipeline.trigger": "frame",
    }
    chosen = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
    return ("--source", f"folder:{pictures}", "--rate", f"{rate_hz:g}", *chosen)


def judged_frames(
    street: Street, images: Iterable[Image], reader: PlateReader | None
) -> dict[str, Any]:
    """What the finders and the reader find of what was pasted, before and after."""
    finders = [FINDERS[name](PrivacyConfig()) for name in DEFAULT]
    told = dict.fromkeys(
        [
            *("frames", "faces", "plates", "faces_found_before", "faces_found_after"),
            *(
                "plates_found_before",
                "plates_found_after",
                "plates_read_before",
                "plates_read_after",
            ),
        ],
        0,
    )
    for image in images:
        number = street.nearest(image)
        told["frames"] += 1
        for when, seen in (("before", street.images[number]), ("after", image)):
            found = [region for finder in finders for region in finder.find(seen)]
            for name, truth in street.truths[number].items():
                kind = "plate" if name.startswith("plate") else "face"
                told[f"{kind}s"] += when == "after"
                told[f"{kind}s_found_{when}"] += _is_found(truth, kind, found)
                if kind == "plate" and reader is not None:
                    told[f"plates_read_{when}"] += _is_read(truth, seen, reader)
    for finder in finders:
        finder.close()
    return told


def _is_found(truth: Truth, kind: str, found: list[Region]) -> bool:
    place = Region(truth.x, truth.y, truth.width, truth.height, kind)
    return any(r.kind == kind and r.iou(place) >= SAME_IOU for r in found)


def _is_read(truth: Truth, image: Image, reader: PlateReader) -> bool:
    x, y = int(truth.x), int(truth.y)
    part = image[y : y + int(truth.height) + 1, x : x + int(truth.width) + 1]
    return bool(truth.text) and reader.read(part) == plain(truth.text)


def _spinning(stopped: threading.Event) -> Callable[..., Any]:
    import rclpy
    from rclpy.context import Context
    from rclpy.experimental import EventsExecutor

    context = Context()
    rclpy.init(context=context)
    executor = EventsExecutor(context=context)

    def spin() -> None:
        while not stopped.is_set():
            executor.spin_once(timeout_sec=0.05)

    def add(make: Callable[..., Any]) -> Any:
        node = make(context=context, use_global_arguments=False)
        executor.add_node(node)
        threading.Thread(target=spin, daemon=True).start()
        return node

    return add


def main() -> int:
    """Run both ways of hiding and write the result; status 2 without the data."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rate", type=float, default=1.0, help="frames a second")
    parser.add_argument("--out", type=Path, default=RESULTS / "privacy.json")
    options = parser.parse_args()
    if "MASTRA_DATA" not in os.environ:
        print("bench.privacy_journey: MASTRA_DATA is not set", file=sys.stderr)
        return 2
    data = Path(os.environ["MASTRA_DATA"])
    ways = ("mosaic", "solid")
    told = {hide: journey(data, options.frames, hide, options.rate) for hide in ways}
    print(json.dumps(told))
    document = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
    own = FINDERS["plates_and_heads"](PrivacyConfig())
    document = entered(document, "journey", told, run_of(own), whole=True)
    own.close()
    options.out.write_text(json.dumps(judged("privacy", document), indent=2) + "\n", "utf-8")
    return 0 if all(one["frames"] for one in told.values()) else 1


def journey(data: Path, frames: int, hide: str, rate_hz: float) -> dict[str, Any]:
    """One run, and what is found of what went up."""
    made, stopped = Street(data, frames), threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "street"
        pictures.mkdir()
        for number, image in enumerate(made.images):
            cv2.imwrite(str(pictures / f"{number}.png"), image)
        bundle = get_model(known_model("yolox_nano"), Path(folder), data / "models")
        heard = made.listening(_spinning(stopped))
        command = [sys.executable, "-m", "mastra_ros.cli.main", "run", "factory_inspection"]
        subprocess.run(
            [*command, *options_of(pictures, bundle, hide, rate_hz), "--quiet"],
            check=True,
            timeout=RUN_TIMEOUT_S,
        )
    stopped.set()
    return judged_frames(made, heard.decoded(), PlateReader.installed())


if __name__ == "__main__":
    sys.exit(main())
