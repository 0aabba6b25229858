"""`mastra privacy`: what would be hidden on pictures of one's own."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import CameraConfig, PrivacyConfig
from ..errors import ConfigError, FrameError, ModelError, SourceEnded, SourceError, Withheld

if TYPE_CHECKING:
    from ..privacy import Region
    from ..privacy.check import Check
    from ..types import Frame

HELP = """\
check: look for faces and plates on pictures or a video as the gate does, and draw what would leave
the device, with labels that stay visible outlined in red. Where the pictures are labelled, it says
what share of the labels would be hidden, by kind and width. Labels: images/ with labels/*.txt or
annotations.json, as for `mastra model evaluate`; without any, it is counted and drawn only. The
pictures of a folder are searched each by itself, those of a video with their tracks."""
EXAMPLE = "mastra privacy check street/ --labels face,plate --draw checked/"

READ_TIMEOUT_S = 10.0
SEARCH_TIMEOUT_MS = 60_000.0
"""Nobody waits for a picture here, as a stream does."""
TOLD_MAX = 5
"""So many pictures that cannot be read or searched are named."""
RED = (0, 0, 255)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("action", choices=("check",), help="what to do")
    parser.add_argument("place", type=Path, metavar="FOLDER|VIDEO", help="pictures or a video")
    parser.add_argument(
        "--labels", default="face,plate", help="names of the classes, in their order in the files"
    )
    parser.add_argument("--bundle", default="", help="bundle of the task: heads and bands as well")
    parser.add_argument("--finders", help="other finders than the default, with commas between")
    parser.add_argument("--models", default="", metavar="DIR", help="where models were put")
    parser.add_argument("--score", type=float, help="another least score")
    parser.add_argument("--draw", type=Path, metavar="DIR", help="write what would leave here")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each Nth frame only")


def run(args: argparse.Namespace) -> int:
    """Search every picture; print a line for each kind and width. Status 1 where none could be."""
    from ..privacy.check import Check
    from ..privacy.opening import open_gate

    if args.every < 1:
        raise ConfigError(f"--every: expected at least 1, got {args.every}")
    _check_draw(args.draw, args.place)
    stills = args.place.is_dir()
    pictures = _pictures(args.place, args.labels.split(","), args.every)
    config = _config(args)
    gate = open_gate(config, stills=stills)
    check, left_out = Check(), 0
    try:
        if gate.shut:
            raise ModelError(gate.shut)
        for name, frame, labels in pictures:
            if isinstance(frame, FrameError):
                left_out = _left_out(left_out, name, str(frame))
                continue
            try:
                masks = gate.look(frame, late=stills)
            except Withheld as why:
                left_out = _left_out(left_out, name, f"would not leave: {why}")
                continue
            missed = check.add(frame.image, labels, masks)
            if args.draw is not None:
                _draw(args.draw / name, frame, masks, missed, config)
    finally:
        gate.close()
    _tell(check, left_out)
    return 0 if check.pictures else 1


def _check_draw(draw: Path | None, place: Path) -> None:
    """Make the folder. ConfigError where pictures would be written over, or cannot be written."""
    if draw is None:
        return
    if draw.resolve() in (place.resolve(), (place / "images").resolve()):
        raise ConfigError(f"--draw {draw}: the pictures themselves would be written over")
    try:
        draw.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--draw {draw}: {error.strerror}") from error


def _left_out(before: int, name: str, why: str) -> int:
    """Say that a picture is left out, the first few times; how many there are now."""
    if before < TOLD_MAX:
        print(f"mastra: {name}: {why}", file=sys.stderr)
    return before + 1


def _draw(
    path: Path, frame: Frame, masks: list[Region], missed: list[Region], config: PrivacyConfig
) -> None:
    """What would leave, with what stays visible and should not in red."""
    import cv2

    from ..pictures import eight_bits
    from ..privacy.hide import hide_inside

    seen = eight_bits(frame)
    drawn = hide_inside(seen.image, masks, config.hide, config.blocks).copy()
    if drawn.ndim == 2:
        drawn = cv2.cvtColor(drawn, cv2.COLOR_GRAY2BGR)
    elif seen.encoding == "rgb8":
        drawn = cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR)
    for r in missed:
        corners = ((int(r.x), int(r.y)), (int(r.x + r.width), int(r.y + r.height)))
        cv2.rectangle(drawn, *corners, RED, 2)
    if not cv2.imwrite(str(path), drawn):
        raise ConfigError(f"{path}: cannot be written")


def _tell(check: Check, left_out: int) -> None:
    for row in check.rows():
        print(
            f"{row.kind} from {row.from_px:2} px: {row.hidden} of {row.count} hidden "
            f"({row.recall:.3f})"
        )
    print(
        f"{check.pictures} pictures, {check.masks} masks; of a picture "
        f"{check.share_median:.1%} is hidden (median)"
    )
    if left_out:
        print(f"{left_out} pictures could not be read or searched: they would not leave")


def _config(args: argparse.Namespace) -> PrivacyConfig:
    from ..config import build

    values: dict[str, object] = {
        "models_dir": args.models,
        "bundle": args.bundle,
        "timeout_ms": SEARCH_TIMEOUT_MS,
    }
    if args.finders:
        values["finders"] = tuple(args.finders.split(","))
    if args.score is not None:
        values["score_min"] = args.score
    return build(PrivacyConfig, values)


Picture = tuple[str, "Frame | FrameError", "list[Region]"]
"""Name to draw it under, frame (or why there is none), labels."""


def _pictures(place: Path, labels: Sequence[str], every: int) -> Iterator[Picture]:
    """Each picture."""
    marked = (place / "labels").is_dir() or (place / "annotations.json").is_file()
    return _labelled(place, labels, every) if marked else _plain(place, every)


def _labelled(place: Path, labels: Sequence[str], every: int) -> Iterator[Picture]:
    from ..model.dataset import open_dataset
    from ..privacy import Region

    dataset = open_dataset(place, "detection", labels)
    stems = Counter(sample.path.stem for sample in dataset.samples)
    for index in range(0, len(dataset), every):
        sample = dataset.samples[index]
        there = [
            Region(x1, y1, x2 - x1, y2 - y1, labels[kind])
            for (x1, y1, x2, y2), kind in zip(
                sample.boxes.tolist(), sample.classes.tolist(), strict=True
            )
            if x1 < x2 and y1 < y2
        ]
        name = sample.path.stem if stems[sample.path.stem] == 1 else sample.path.name
        yield f"{name}.png", dataset.frame(index), there


def _plain(place: Path, every: int) -> Iterator[Picture]:
    from ..camera import open_source
    from ..config import build

    if not place.exists():
        raise ConfigError(f"{place}: not found")
    kind = "folder" if place.is_dir() else "file"
    config = build(CameraConfig, {"source": f"{kind}:{place}", "loop": False})
    try:
        source = open_source(config)
    except SourceError as error:
        told = str(error)
        raise SourceError(told if str(place) in told else f"{place}: {told}") from error
    number = -1
    try:
        while True:
            number += 1
            try:
                frame: Frame | FrameError = source.read(READ_TIMEOUT_S)
            except SourceEnded:
                return
            except FrameError as error:
                frame = error
            if number % every == 0:
                yield f"{number:06d}.png", frame, []
    finally:
        source.close()
