"""`mastra model split`: cut the gateway's network in two, where that pays."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ConfigError
from ...figures import prepare
from ...share import home_path
from ..output import check_output, write_json
from .split_privacy import PLATES_MIN, measure_privacy

if TYPE_CHECKING:
    from ...types import Frame

HELP = """\
Profile the network of BUNDLE block by block, measure on real frames what each cut would send,
predict the time from frame to answer over the link described, and write a bundle with head.onnx
and tail.onnx, cut where that time is least. Writes none where the whole network on the device or
in the cloud is faster, unless --at insists. Needs: pip install "mastra-ros[convert]"."""

DATA = "synthetic:pcb?seed=1"
JPEG_QUALITY = 85  # the default of compression.quality
LEVELS_MAX = 256
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([a-z]+)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("bundle", metavar="BUNDLE", help="folder, or name of an installed bundle")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write; without: report")
    parser.add_argument(
        "--at",
        default="auto",
        metavar="auto|best|NODE",
        help="auto (default): where it is fastest, or nowhere; best: at the best cut; or a cut",
    )
    parser.add_argument("--uplink", default="5mbit", help="rate of the uplink; default: 5mbit")
    parser.add_argument("--rtt", default="40ms", help="round trip of the link; default: 40ms")
    parser.add_argument(
        "--device-slowdown",
        type=float,
        default=4.0,
        metavar="X",
        help="how many times slower than this machine the device is; default: 4",
    )
    parser.add_argument(
        "--data",
        default=DATA,
        metavar="SOURCE",
        help=f"frames to measure on: a folder of pictures or a camera.source; default: {DATA}",
    )
    parser.add_argument("--frames", type=int, default=12, help="so many of them; default: 12")
    parser.add_argument("--every", type=int, default=0, metavar="N", help="take every Nth frame")
    parser.add_argument(
        "--levels", default="auto", help="values that the tensor may span, 2 to 256; default: auto"
    )
    parser.add_argument(
        "--agreement",
        type=float,
        default=0.98,
        metavar="SHARE",
        help="boxes (within 2 px) that must stay the same with fewer levels; default: 0.98",
    )
    parser.add_argument(
        "--measure-privacy",
        action="store_true",
        help="train decoders that rebuild drawn plates from the features at each cut, measure on "
        "others how well, and write it into the bundle, for privacy.features: measured",
    )
    parser.add_argument(
        "--privacy-plates",
        type=int,
        default=0,
        metavar="N",
        help="drawn plates that each decoder learns from, at least 100; default: 900",
    )
    parser.add_argument("--threads", type=int, default=1, help="of the runtime; default: 1")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw latency by cut there")
    parser.add_argument("--replace", action="store_true", help="write over a bundle in DIR")


def run(args: argparse.Namespace) -> int:
    """Profile, report, and write the split bundle."""
    from ...emulation.grammar import RATE_UNITS_BPS, TIME_UNITS_S
    from ...inference import Detector, load_bundle
    from ...model.progress import Bar
    from ...model.split.cuts import profile
    from ...model.split.graph import load_graph
    from ...model.split.latency import Link
    from ...model.split.pictures import jpeg_curve, picture_cost
    from ...model.split.report import SplitReport
    from ...model.split.split import WHOLE, local_part_ms, split_bundle

    check_output(args.json, "--json")
    if not args.device_slowdown > 0:
        raise ConfigError(f"--device-slowdown: expected more than 0, got {args.device_slowdown:g}")
    if not 0 <= args.agreement <= 1:
        raise ConfigError(f"--agreement: expected 0 to 1, got {args.agreement:g}")
    if args.privacy_plates and not (args.measure_privacy and args.privacy_plates >= PLATES_MIN):
        raise ConfigError(
            f"--privacy-plates: expected at least {PLATES_MIN}, and --measure-privacy beside it, "
            f"got {args.privacy_plates}"
        )
    prepare(args.plot)
    uplink_bps = _quantity("--uplink", args.uplink, RATE_UNITS_BPS)
    rtt_s = _quantity("--rtt", args.rtt, TIME_UNITS_S)
    if not uplink_bps:
        raise ConfigError("--uplink: expected more than 0")
    levels = _levels(args.levels)
    bundle = load_bundle(args.bundle).in_one_view()
    model = load_graph(bundle.part(WHOLE).path)
    frames = _frames(args.data, args.frames, args.every)
    bar = Bar()
    measured = profile(
        bundle,
        WHOLE,
        model,
        frames,
        threads=args.threads,
        agreement_min=args.agreement,
        levels=levels,
        progress=bar,
    )
    if args.at not in ("auto", "best"):
        measured.cut(args.at)
    detector = Detector.open(bundle, WHOLE, threads=args.threads)
    report = SplitReport(
        bundle=bundle.name,
        link=Link(uplink_bps, rtt_s * 1e3, args.device_slowdown),
        profile=measured,
        picture=picture_cost(bundle, frames, JPEG_QUALITY),
        jpegs=jpeg_curve(detector, frames, measured.answers, bar),
        frames=len(frames),
        at=args.at,
        local_part_ms=local_part_ms(bundle, frames),
    )
    detector.close()
    print("\n".join(report.lines()))
    document = report.to_dict()
    rebuilt = {}
    if args.measure_privacy:
        rebuilt = measure_privacy(
            bundle, model, measured.cuts, args.privacy_plates, args.threads, bar
        )
        document["rebuilt"] = rebuilt
    chosen = report.chosen
    if args.out and chosen is not None:
        document["measured"] = split_bundle(
            bundle,
            model,
            chosen.split({"levels": chosen.levels}),
            args.out,
            frames=frames,
            answers=measured.answers,
            rebuilt=rebuilt.get(chosen.name),
            replace=args.replace,
        )
        told = ", ".join(
            f"{name} {value}"
            for name, value in document["measured"].items()
            if not isinstance(value, dict)
        )
        print(f"wrote {args.out}; its halves, measured: {told}")
    if args.json:
        write_json(args.json, document)
    if args.plot:
        report.plot(args.plot)
    return 0


def _frames(data: str, count: int, every: int) -> list[Frame]:
    """Frames of a folder or a camera source, spread out where one is much like the next."""
    from ...camera.opening import open_source
    from ...config import CameraConfig
    from ...errors import SourceEnded

    if count < 1 or every < 0:
        raise ConfigError("--frames: expected at least 1; --every: expected at least 0")
    folder = home_path(data)
    if folder.is_dir():
        data = f"folder:{folder / 'images' if (folder / 'images').is_dir() else folder}"
    step = every or (1 if data.startswith("folder:") else 10)
    source = open_source(CameraConfig(source=data, rate_hz=0.0))
    found: list[Frame] = []
    try:
        for number in range(count * step):
            frame = source.read(5.0)
            if number % step == step // 2:
                found.append(frame)
    except SourceEnded:
        pass
    finally:
        source.close()
    if not found:
        raise ConfigError(f"--data: no frames in {data}")
    return found


def _levels(text: str) -> tuple[int, ...]:
    from ...model.split.cuts import LEVELS

    if text == "auto":
        return LEVELS
    if not text.isdecimal() or not 2 <= int(text) <= LEVELS_MAX:
        raise ConfigError(f"--levels: expected auto or 2 to {LEVELS_MAX}, got {text!r}")
    return (int(text),)


def _quantity(option: str, text: str, units: dict[str, float]) -> float:
    match = _QUANTITY.fullmatch(text)
    if match is None or match.group(2) not in units:
        raise ConfigError(
            f"{option}: expected a number with unit {' or '.join(units)}, got {text!r}"
        )
    return float(match.group(1)) * units[match.group(2)]
