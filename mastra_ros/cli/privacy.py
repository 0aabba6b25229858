"""`mastra privacy`: what would be hidden on pictures of one's own."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import CameraConfig, PrivacyConfig
from ..errors import ConfigError, FrameError, SourceEnded

if TYPE_CHECKING:
    from ..privacy import Region
    from ..types import Frame

HELP = """\
check: look for faces and plates on labelled pictures or a video as the gate does, say what share
of the labels would be hidden by kind and width, and draw what would be: hidden as it would leave
the device, with labels that stay visible outlined in red. Labels: images/ with labels/*.txt or
annotations.json, as for `mastra model evaluate`; without any, it is counted and drawn only."""
EXAMPLE = "mastra privacy check street/ --labels face,plate --draw checked/"

READ_TIMEOUT_S = 10.0
RED = (0, 0, 255)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=("check",), help="what to do")
    parser.add_argument("place", type=Path, metavar="FOLDER|VIDEO", help="pictures or a video")
    parser.add_argument(
        "--labels", default="face,plate", help="names of the classes, in their order in the files"
    )
    parser.add_argument("--finders", help="other finders than the default, with commas between")
    parser.add_argument("--models", default="", metavar="DIR", help="where models were put")
    parser.add_argument("--score", type=float, help="another least score")
    parser.add_argument("--draw", type=Path, metavar="DIR", help="write what would leave here")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each Nth frame only")


def run(args: argparse.Namespace) -> int:
    """Search every picture; print a line for each kind and width."""
    import cv2

    from ..privacy.check import Check
    from ..privacy.finders import PacedFinders
    from ..privacy.hide import hide_inside
    from ..privacy.opening import open_finders

    if args.every < 1:
        raise ConfigError(f"--every: expected at least 1, got {args.every}")
    config = _config(args)
    finders = PacedFinders(open_finders(config))
    check = Check()
    if args.draw is not None:
        args.draw.mkdir(parents=True, exist_ok=True)
    try:
        for name, frame, labels in _pictures(args.place, args.labels.split(","), args.every):
            masks = [r.widened(config.widen) for r in finders.find(frame.image)]
            missed = check.add(frame.image, labels, masks)
            if args.draw is not None:
                drawn = hide_inside(frame.image, masks, config.hide, config.blocks).copy()
                for r in missed:
                    corners = ((int(r.x), int(r.y)), (int(r.x + r.width), int(r.y + r.height)))
                    cv2.rectangle(drawn, *corners, RED, 2)
                if not cv2.imwrite(str(args.draw / name), drawn):
                    raise ConfigError(f"{args.draw / name}: cannot be written")
    finally:
        finders.close()
    for row in check.rows():
        print(
            f"{row.kind} from {row.from_px:2} px: {row.hidden} of {row.count} hidden "
            f"({row.recall:.3f})"
        )
    print(
        f"{check.pictures} pictures, {check.masks} masks; of a picture "
        f"{check.share_median:.1%} is hidden (median)"
    )
    return 0


def _config(args: argparse.Namespace) -> PrivacyConfig:
    from ..config import build

    values: dict[str, object] = {"models_dir": args.models}
    if args.finders:
        values["finders"] = tuple(args.finders.split(","))
    if args.score is not None:
        values["score_min"] = args.score
    return build(PrivacyConfig, values)


def _pictures(
    place: Path, labels: Sequence[str], every: int
) -> Iterator[tuple[str, Frame, list[Region]]]:
    """Name, frame and labels of each picture."""
    marked = (place / "labels").is_dir() or (place / "annotations.json").is_file()
    yield from _labelled(place, labels, every) if marked else _plain(place, every)


def _labelled(
    place: Path, labels: Sequence[str], every: int
) -> Iterator[tuple[str, Frame, list[Region]]]:
    from ..model.dataset import open_dataset
    from ..privacy import Region

    dataset = open_dataset(place, "detection", labels)
    for index in range(0, len(dataset), every):
        sample = dataset.samples[index]
        there = [
            Region(x1, y1, x2 - x1, y2 - y1, labels[kind])
            for (x1, y1, x2, y2), kind in zip(
                sample.boxes.tolist(), sample.classes.tolist(), strict=True
            )
            if x1 < x2 and y1 < y2
        ]
        yield f"{sample.path.stem}.png", dataset.frame(index), there


def _plain(place: Path, every: int) -> Iterator[tuple[str, Frame, list[Region]]]:
    from ..camera import open_source
    from ..config import build

    if not place.exists():
        raise ConfigError(f"{place}: not found")
    kind = "folder" if place.is_dir() else "file"
    source = open_source(build(CameraConfig, {"source": f"{kind}:{place}", "loop": False}))
    number = -1
    try:
        while True:
            number += 1
            try:
                frame = source.read(READ_TIMEOUT_S)
            except SourceEnded:
                return
            except FrameError:
                continue
            if number % every == 0:
                yield f"{number:06d}.png", frame, []
    finally:
        source.close()
