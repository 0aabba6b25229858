"""What a device shows and tells of tracked ultrasound: exact pictures, lag, live age, privacy.

The parts `scan`, `lag`, `privacy`, `draw` and `live` of `python -m bench.ultrasound`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.bars import Result
from mastra_ros.compression import Decoder, Encoder
from mastra_ros.config import CompressionConfig, GatewayConfig, PrivacyConfig
from mastra_ros.emulation.grammar import read_faults
from mastra_ros.emulation.proxy import ShapingProxy
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.pipeline.ultrasound.calibration import read_calibration
from mastra_ros.pipeline.ultrasound.lag import lag_of_files
from mastra_ros.pipeline.ultrasound.live import LiveSettings, LiveView
from mastra_ros.pipeline.ultrasound.metafile import read_metafile
from mastra_ros.pipeline.ultrasound.phantom import Phantom, PhantomConfig
from mastra_ros.pipeline.ultrasound.region import Fan, Region
from mastra_ros.pipeline.ultrasound.scan import ScanConverter, geometry_from_plus
from mastra_ros.privacy import open_gate
from mastra_ros.protocol.keys import add_device, init_keys
from mastra_ros.types import Frame, FrameKey

PLUS_LAG_MS = -64.8
BK = "SegmentationTest_BKMedical_RandomStepperMotionData2_Trimmed.igs.mha"
BK_REGION = Region((162, 90, 430, 350), Fan((377.0, -60.0), -40.0, 40.0, 160.0, 480.0))
"""Where that picture shows tissue."""
SOURCE = "synthetic:ultrasound?seed=1&width=640&height=480&spacing=0.1&speed=3&frames={frames}"
RATE_HZ = 30
LINK = "rate=10mbit@0s..600s"


def scan(data: Path) -> Result:
    """Pixels that are the same, of all."""
    calibration = read_calibration(data / "PlusDeviceSet_RfProcessingAlgoCurvilinearTest.xml")
    converter = ScanConverter(geometry_from_plus(calibration.scan))
    lines = read_metafile(data / "UltrasonixCurvilinearBrightnessData.igs.mha")
    wanted = read_metafile(data / "UltrasonixCurvilinearScanConvertedData.igs.mha")
    same = total = 0
    began = time.perf_counter()
    for got, picture in zip(lines.pictures(), wanted.pictures(), strict=True):
        same += int((converter.convert(got) == picture).sum())
        total += picture.size
    took_ms = (time.perf_counter() - began) * 1e3 / lines.size[2]
    return {"same": same / total, "pixels": total, "ms_a_picture": round(took_ms, 2)}


def lag(data: Path) -> Result:
    """As PLUS tells it."""
    found = lag_of_files(
        read_metafile(data / "WaterTankBottomTranslationVideoBuffer.igs.mha"),
        read_metafile(data / "WaterTankBottomTranslationTrackerBuffer-trimmed.igs.mha"),
    )
    return {
        "plus_ms": round(found.plus_ms, 2),
        "off_ms": round(abs(found.plus_ms - PLUS_LAG_MS), 2),
        "agreement": round(found.agreement, 4),
        "pictures": found.pictures,
    }


def privacy(data: Path) -> Result:
    """By the way of a sweep's frames: region, gate, encoder, and what a gateway decodes."""
    inside = BK_REGION.mask(640, 480)
    polygon = BK_REGION.polygon(640, 480)
    gate = open_gate(PrivacyConfig(mode="regions", polygons=(polygon,), hide="solid"))
    encoder = Encoder(CompressionConfig(codec="jpegls"))
    encoder.peer(("jpegls",))
    leaked = changed = written = 0
    for number, picture in enumerate(read_metafile(data / BK).pictures(), 1):
        written += int((picture[~inside] > 0).sum())
        image = np.where(inside, picture, 0).astype(np.uint8)
        encoder.forget()
        packet = encoder.encode(gate.clear(Frame(FrameKey("main", number), image, "mono8")))
        told = Decoder().decode(replace(packet, late=True)).image
        leaked += int((told[~inside] > 0).sum())
        changed += int((told[inside] != picture[inside]).sum())
    return {
        "pixels_lit_outside": written,
        "pixels_inside": int(inside.sum()),
        "leaked": leaked,
        "changed": changed,
    }


def draw() -> Result:
    """With gain, TGC, calipers and marker."""
    phantom = Phantom(PhantomConfig(width_px=640, height_px=480, spacing_mm=0.1))
    pictures = [phantom.picture(number) for number in range(0, 240, 24)]
    settings = LiveSettings(
        6.0, (0.0, 3.0, 9.0), 0.0, False, "left", (((100, 80), (220, 170)),), (0.1, 0.1),
        Region((0, 0, 640, 480)),
    )  # fmt: skip
    view = LiveView(settings)
    view.draw(pictures[0])
    times = []
    for number in range(200):
        began = time.perf_counter()
        view.draw(pictures[number % len(pictures)], "SWEEP 12", ["TOO FAST: 55 mm/s"])
        times.append((time.perf_counter() - began) * 1e3)
    return {
        "p50_ms": round(float(np.median(times)), 3),
        "p99_ms": round(float(np.percentile(times, 99)), 3),
    }


def live(seconds: float) -> Result:
    """The device in one process on one core: probe, live picture, sweep and bridge."""
    source = SOURCE.format(frames=round(seconds * RATE_HZ))
    told = {"alone": device(source, "--gateway", "none", "--set", "ultrasound.sweep=off")}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        keys = Path(folder) / "keys"
        init_keys(keys, own_audience=True)
        add_device(keys, "ultrasound-1")
        config = GatewayConfig(applications=("ultrasound",), application_silence_s=300.0)
        gateway = stack.enter_context(
            EmbeddedGateway(keys, state_dir=Path(folder) / "state", config=config)
        )
        link = stack.enter_context(ShapingProxy("127.0.0.1", gateway.port, read_faults(LINK)))
        sets = (f"bridge.keys_dir={keys}", f"bridge.spool_path={folder}/spool.sqlite")
        given = [part for value in sets for part in ("--set", value)]
        told["sweeping"] = device(source, "--gateway", f"wss://127.0.0.1:{link.port}", *given)
    return told


def device(source: str, *options: str) -> Result:
    """One run, pinned to one core, and what it reports."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        core = str(min(os.sched_getaffinity(0)))
        command = ["taskset", "-c", core, sys.executable, "-m", "mastra_ros.cli.main"]
        command += ["run", "medical_ultrasound", "--source", source, "--quiet", *options]
        command += ["--report", str(report), "--set", f"bridge.artefacts_dir={folder}/artefacts"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not report.exists():
            raise SystemExit(f"no report of {options}:\n{done.stdout}{done.stderr}")
        said = json.loads(report.read_text(encoding="utf-8"))
    return {
        "shown": said["live"]["pictures"],
        "of": said["pictures"],
        **{f"age_{key}_ms": value for key, value in said["live"]["age_ms"].items()},
        "frames_told": said["frames_told"],
        "frames_refused": said["frames_refused"],
        "upload_bytes": said["upload_bytes"],
        "status": done.returncode,
    }
