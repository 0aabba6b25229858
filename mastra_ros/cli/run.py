"""`mastra run`: a pipeline in one process, over real DDS, with an embedded gateway if wanted."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.files import apply_sets, load_parameters
from ..errors import ConfigError, DependencyError, MastraError, SourceError
from ..figures import prepare
from ..leftovers import temporary_folder
from ..share import share_file
from ..startup import check_clock
from . import run_dashboard
from .output import check_output, check_output_folder, write_json
from .report import RunReport
from .run_signed import signed
from .run_ultrasound import fit_calibration, run_sweeps

if TYPE_CHECKING:
    from ..config import BridgeConfig

HELP = """\
Run a pipeline in one process, over real DDS: camera, inference, scheduling,
compression, bridge and pipeline (or probe, ultrasound and bridge), with a
gateway of its own unless told otherwise. Exit status 0 only when every frame
has its result, or every sweep its report."""
EXAMPLE = "mastra run factory_inspection --duration 60 --fault down@25s..35s --report r.json"
ULTRASOUND = "medical_ultrasound"
PIPELINES = ("factory_inspection", ULTRASOUND, "traffic")
STAGES_OF = {"factory_inspection": "pipeline", "traffic": "traffic"}
"""The stage that makes something of the results."""
CONNECT_TIMEOUT_S = 10.0
DELIVERY_TIMEOUT_S = 30.0
LIVE_PERIOD_S = 0.5
LIVE_PERIOD_PLAIN_S = 5.0  # where the output is no terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("pipeline", choices=PIPELINES, help="which pipeline")
    parser.add_argument("--source", help="where frames come from; see camera.source, probe.source")
    end = parser.add_mutually_exclusive_group()
    end.add_argument("--frames", type=int, help="stop after so many frames")
    end.add_argument("--duration", type=float, metavar="S", help="stop after so many seconds")
    parser.add_argument("--rate", type=float, metavar="FPS", help="frames a second")
    parser.add_argument(
        "--gateway", default="embedded", help="embedded (default), none, or wss://host:port"
    )
    parser.add_argument(
        "--fault", default="", help="what happens on the link: down@5s..15s, …; @FILE: a script"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the report as JSON")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.png", help="draw age and route of every result there"
    )
    parser.add_argument(
        "--record", type=Path, metavar="FILE.mcap", help="record results, routes, link and load"
    )
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="save annotated pictures")
    parser.add_argument("--params-file", type=Path, metavar="FILE", help="parameter file")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="STAGE.PARAMETER=VALUE",
        dest="sets",
        help="change one value; may be given several times",
    )
    run_dashboard.add_arguments(parser)
    parser.add_argument("--namespace", default="", help="ROS namespace of the nodes")
    parser.add_argument("--quiet", action="store_true", help="print the summary only")


def run(args: argparse.Namespace) -> int:
    """Run; exit status 0 only when no frame is without its result."""
    parameters = _parameters(args)
    check_clock()
    check_output(args.report, "--report")
    run_dashboard.check(args)
    check_output_folder(args.pictures, "--pictures")
    _check_ros(args)
    prepare(args.plot)
    stop = threading.Event()
    with _signals(stop), contextlib.ExitStack() as stack:
        link = _open_link(args, parameters, stack)
        if args.pipeline == ULTRASOUND:
            return run_sweeps(args, parameters, link, stop)
        report = _run_nodes(args, parameters, link, stop)
        report.signed = signed(report, parameters)
    _compare_with_truth(report, parameters)
    print(f"\n{args.pipeline}\n{report.summary()}")
    if link.spool and report.spooled_now:
        print(f"  {report.spooled_now} frames wait in {link.spool} for the next run")
    if args.report:
        write_json(args.report, report.to_dict())
    if args.plot:
        _plot(args, report, parameters)
    if report.failure:
        raise SourceError(report.failure)
    if args.pictures:
        print(f"  annotated pictures in {args.pictures}")
    return 0 if report.frames and not report.missing else 1


def _compare_with_truth(report: RunReport, parameters: dict[str, dict[str, Any]]) -> None:
    from ..camera import Line, parse_uri
    from ..camera.synthetic import line_options
    from ..config import CameraConfig, build

    camera = build(CameraConfig, parameters.get("camera", {}))
    uri = parse_uri(camera.source)
    if (uri.kind, uri.target) == ("synthetic", "pcb") and parameters.get("pipeline", {}).get(
        "trigger"
    ) != "frame":
        line = Line(line_options(uri, camera))
        report.compare(lambda board: bool(line.board_truth(board)))
        line.close()


def _plot(
    args: argparse.Namespace, report: RunReport, parameters: dict[str, dict[str, Any]]
) -> None:
    from ..config import SchedulingConfig, build
    from ..emulation.grammar import read_faults
    from .run_plot import draw_run

    scheduling = build(SchedulingConfig, parameters.get("scheduling", {}))
    title = f"{args.pipeline}: {report.frames} frames, {report.missing} without a result"
    try:
        draw_run(
            report.timeline,
            args.plot,
            began_s=report.began_s,
            title=title,
            faults=read_faults(args.fault),
            deadline_ms=scheduling.deadline_ms if args.gateway != "none" else None,
        )
    except OSError as error:
        raise ConfigError(f"--plot: cannot write {args.plot}: {error.strerror}") from error
    print(f"  plot in {args.plot}")


def _parameters(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    from ..config import InferenceConfig, build

    path = args.params_file or share_file(f"config/{args.pipeline}.yaml")
    parameters = load_parameters(path)
    camera = parameters.setdefault("probe" if args.pipeline == ULTRASOUND else "camera", {})
    if args.source:
        camera["source"] = args.source
        if args.pipeline == ULTRASOUND:
            fit_calibration(parameters.setdefault("ultrasound", {}), args.source)
    if args.frames is not None:
        if args.frames < 1:
            raise ConfigError(f"--frames: expected at least 1, got {args.frames}")
        camera["frame_limit"] = args.frames
    if args.duration is not None and not args.duration > 0:
        raise ConfigError(f"--duration: expected more than 0 s, got {args.duration:g}")
    if args.pipeline == ULTRASOUND and (args.rate is not None or args.pictures or args.plot):
        raise ConfigError(f"{ULTRASOUND} knows no --rate, --pictures and --plot")
    if args.rate is not None:
        camera["rate_hz"] = args.rate
    if args.pictures and args.pipeline != "factory_inspection":
        raise ConfigError(f"--pictures: {args.pipeline} saves no pictures")
    if args.pictures:
        parameters.setdefault("pipeline", {})["pictures_dir"] = str(args.pictures)
    parameters = apply_sets(parameters, args.sets)
    bundle = build(InferenceConfig, parameters.get("inference", {})).bundle
    parameters.setdefault("compression", {}).setdefault("bundle", bundle)
    return parameters


@dataclass(frozen=True)
class _Link:
    """How the run reaches its gateway."""

    start_clock: Callable[[], None]  # the faults count from here
    expected: bool  # a gateway should answer
    spool: Path | None = None  # what outlives the run


def _open_link(
    args: argparse.Namespace,
    parameters: dict[str, dict[str, Any]],
    stack: contextlib.ExitStack,
) -> _Link:
    """Start gateway and proxy as asked, and tell the bridge where they are.

    The embedded gateway ends with the run, and what is spooled for it is of no use to another: so
    its spool is in a temporary folder. That of any other gateway is where the bridge has it.
    """
    from ..config import BridgeConfig, GatewayConfig, build
    from ..emulation.grammar import read_faults
    from ..emulation.proxy import ShapingProxy

    faults = read_faults(args.fault)
    bridge = parameters.setdefault("bridge", {})
    if args.gateway != "embedded":
        if faults:
            raise ConfigError("--fault: works on the link to the embedded gateway only")
        bridge["gateway"] = "" if args.gateway == "none" else args.gateway
        if args.gateway == "none":
            return _Link(lambda: None, expected=False)
        return _Link(lambda: None, True, _usable_spool(build(BridgeConfig, bridge)))

    from ..gateway.embedded import EmbeddedGateway
    from ..protocol.keys import add_device, init_keys

    folder = stack.enter_context(temporary_folder())
    bridge.setdefault("spool_path", str(folder / "spool.sqlite"))
    keys = folder / "keys"
    init_keys(keys, own_audience=True)
    add_device(keys, build(BridgeConfig, bridge).device)
    served = build(GatewayConfig, parameters.get("gateway", {}))
    gateway = stack.enter_context(
        EmbeddedGateway(keys, served.bundles, state_dir=folder / "gateway", config=served)
    )
    stack.enter_context(run_dashboard.beside(args.dashboard, gateway.url, keys))
    proxy = stack.enter_context(ShapingProxy("127.0.0.1", gateway.port, faults))
    bridge["gateway"] = f"wss://127.0.0.1:{proxy.port}"
    bridge["keys_dir"] = str(keys)
    return _Link(proxy.restart_clock, True)


def _usable_spool(config: BridgeConfig) -> Path:
    """The spool's file; ConfigError or SpoolError when nothing could be kept there."""
    from ..bridge import SqliteSpool
    from ..bridge.connection import check_config
    from ..bridge.paths import spool_path

    check_config(config)
    path = spool_path(config)
    SqliteSpool(path, config.spool_bytes_max, config.spool_age_max_s).close()
    return path


def _check_ros(args: argparse.Namespace) -> None:
    """Say that ROS cannot be used, or not so, before anything is started."""
    try:
        from ..nodes.starting import check_domain, check_namespace
    except ImportError as error:
        raise DependencyError(
            f"{error}: source ROS 2 and the workspace, or `source env.sh` after `make setup`"
        ) from error
    check_domain()
    check_namespace(args.namespace)


def _run_nodes(
    args: argparse.Namespace,
    parameters: dict[str, dict[str, Any]],
    link: _Link,
    stop: threading.Event,
) -> RunReport:
    from ..nodes.run.compose import Composition
    from ..nodes.run.monitor import MonitorNode
    from ..nodes.run.record import RecorderNode, Recording

    report = RunReport()
    pipeline = STAGES_OF[args.pipeline]
    options: dict[str, Any] = {"namespace": args.namespace, "pipeline": args.pipeline}
    with contextlib.ExitStack() as stack:
        recording = Recording(args.record) if args.record else None
        if recording is not None:
            stack.callback(recording.close)
        composition = stack.enter_context(Composition(parameters, **options))
        composition.configure()
        composition.activate(*(stage for stage in composition.order if stage != "camera"))
        composition.await_discovery()
        composition.add(lambda **options: MonitorNode(report, **options))
        if recording is not None:
            composition.add(lambda **options: RecorderNode(recording, **options))
        if link.expected:
            _wait(lambda: report.link is not None and report.link.connected, CONNECT_TIMEOUT_S)
        began_ns = time.monotonic_ns()
        began = report.began_s = began_ns / 1e9
        link.start_clock()
        composition.activate("camera")
        camera: Any = composition.nodes["camera"]

        def update() -> None:
            scheduler = getattr(composition.nodes["scheduling"], "scheduler", None)
            if scheduler is not None:
                report.superseded = scheduler.counters.superseded
                report.switches = [s.to_dict(began_ns) for s in scheduler.switches]
            report.engine = getattr(composition.nodes["inference"], "engine", "")
            report.compression = composition.nodes["compression"].told()

        live = _LiveLine(report, began, quiet=args.quiet)
        while not stop.is_set() and composition.failure is None and not camera.ended.is_set():
            if args.duration is not None and time.monotonic() - began >= args.duration:
                break
            camera.ended.wait(0.05)
            update()
            if report.frames > camera.captured:
                raise ConfigError(
                    "frames of another pipeline are on our topics; give this one a --namespace, "
                    "or another ROS_DOMAIN_ID"
                )
            live.print()
        report.failure = camera.failure or ("" if report.frames else camera.trouble)
        composition.stop("camera")

        def settled() -> bool:
            update()
            live.print()
            # The last frames may have left the camera and not been heard of yet.
            heard_all = report.frames >= camera.captured
            return composition.failure is not None or (heard_all and report.open <= 0)

        _wait(settled, _answer_limit_s(parameters))
        if not stop.is_set():
            _wait(
                lambda: settled() and (report.undelivered == 0 or not _connected(report)),
                DELIVERY_TIMEOUT_S,
            )
        finish = getattr(composition.nodes[pipeline], "finish", None)
        if finish is not None:
            verdicts_due = finish()
            if pipeline == "pipeline":
                _wait(lambda: report.boards >= verdicts_due, 2.0)
        report.told = getattr(composition.nodes[pipeline], "told", dict)()
        update()
        if composition.failure is not None:
            raise MastraError(f"a node failed: {composition.failure}")
    return report


def _connected(report: RunReport) -> bool:
    return report.link is not None and report.link.connected


def _answer_limit_s(parameters: dict[str, dict[str, Any]]) -> float:
    """By then the arbiter has closed every frame."""
    from ..config import SchedulingConfig, build

    config = build(SchedulingConfig, parameters.get("scheduling", {}))
    return (
        1.0 + (config.deadline_ms + 2 * config.local_timeout_ms + config.escalate_deadline_ms) / 1e3
    )


def _wait(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@contextlib.contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM end the run in order; a second one ends it at once."""

    def handler(number: int, _: Any) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    before = {n: signal.signal(n, handler) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


class _LiveLine:
    """Rewrites one line on a terminal; elsewhere prints a line now and then."""

    def __init__(self, report: RunReport, began: float, *, quiet: bool) -> None:
        self._report = report
        self._began = began
        self._quiet = quiet
        self._terminal = sys.stdout.isatty()
        self._next = 0.0

    def print(self) -> None:
        now = time.monotonic()
        if self._quiet or now < self._next:
            return
        self._next = now + (LIVE_PERIOD_S if self._terminal else LIVE_PERIOD_PLAIN_S)
        line = self._report.live_line(now - self._began)
        if self._terminal:
            print(f"\r{line}\033[K", end="", flush=True)
        else:
            print(line, flush=True)
