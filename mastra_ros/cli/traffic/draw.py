"""`mastra traffic draw`: a site over a frame of its camera, checked."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from ...camera import open_source
from ...config import CameraConfig, build
from ...errors import ConfigError
from ...pictures import eight_bits
from ...pipeline.traffic.site.draw import draw_site
from ...pipeline.traffic.site.file import load_site
from ..output import check_output

HELP = """\
Check the file of a site (lanes, lines, zones, known points) and draw it over a frame of its
camera. Dots on the road are ten metres apart, where points are known."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("site", help="file of the site, such as config/traffic_crossing.yaml")
    parser.add_argument("picture", type=Path, help="the picture to write, PNG or JPEG")
    parser.add_argument(
        "--source",
        default="synthetic:crossing?seed=1",
        help="where the frame comes from; see camera.source",
    )
    parser.add_argument("--frame", type=int, default=0, metavar="N", help="which frame, from 0")


def run(args: argparse.Namespace) -> int:
    """Draw; ConfigError names what is wrong with the site."""
    site = load_site(args.site)
    check_output(args.picture, "picture")
    if args.frame < 0:
        raise ConfigError(f"--frame: expected 0 or more, got {args.frame}")
    source = open_source(build(CameraConfig, {"source": args.source}))
    try:
        frame = source.read(10.0)
        for _ in range(args.frame):
            frame = source.read(10.0)
    finally:
        source.close()
    image = eight_bits(frame).image
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    elif frame.encoding.startswith("rgb"):
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    if not cv2.imwrite(str(args.picture), draw_site(image, site)):
        raise ConfigError(f"picture: cannot write {args.picture}: expected .png or .jpg")
    told = f"{len(site.lanes)} lanes, {len(site.lines)} lines, {len(site.zones)} zones"
    known = "speeds are known" if site.homography else "no known points, so no speeds"
    print(f"{args.site}: {told}; {known}; drawn in {args.picture}")
    return 0
