"""Opens the models of `gateway.tensors`."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...config import GatewayConfig
from ...errors import ConfigError, MastraError
from ...share import home_path
from .address import Address
from .backend import Backend
from .breaker import Breaker
from .caller import Caller
from .http_caller import HttpCaller
from .onnx import OnnxBackend
from .served import OnBatch, ServedTensors, check_same
from .upstream import FAILURES_MAX, REST_S, UpstreamBackend

_SPEC = re.compile(
    r"(?P<name>[\w.-]{1,64})(:(?P<version>[\w.-]{1,32}))?(\*(?P<instances>\d{1,3}))?"
    r"(@(?P<sizes>\d{1,4}(/\d{1,4})*))?=(?P<where>\S.*)"
)
INSTANCES_MAX = 64
URL = re.compile(r"(https?|grpcs?)://", re.IGNORECASE)
FIRST_VERSION = "1"


@dataclass(frozen=True)
class TensorModel:
    """One entry: a name, a version (or the model's own where it is empty), a file or URL.

    `instances`: runs at once; 0 where it does not say. `sizes`: rows of its runs, ascending; none:
    as many as there are.
    """

    name: str
    version: str
    where: str
    instances: int = 0
    sizes: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> TensorModel:
        """Raises ConfigError."""
        match = _SPEC.fullmatch(text.strip())
        if match is None:
            raise ConfigError(
                "tensors: expected NAME[:VERSION][*INSTANCES][@ROWS/ROWS/…]=FILE or =URL, "
                f"got {text!r:.200}"
            )
        instances = 0 if match["instances"] is None else int(match["instances"])
        if match["instances"] is not None and not 1 <= instances <= INSTANCES_MAX:
            raise ConfigError(
                f"tensors: {match['name']}: expected 1 to {INSTANCES_MAX} instances, "
                f"got {instances}"
            )
        sizes = tuple(sorted({int(size) for size in (match["sizes"] or "").split("/") if size}))
        if sizes and sizes[0] < 1:
            raise ConfigError(f"tensors: {match['name']}: expected runs of at least one row, got 0")
        return cls(match["name"], match["version"] or "", match["where"], instances, sizes)


def open_tensors(config: GatewayConfig, on_batch: OnBatch) -> list[ServedTensors]:
    """Load them all. Raises ConfigError, ModelError, LinkError, DependencyError."""
    opened: list[ServedTensors] = []
    backends: list[Backend] = []
    try:
        for entry in map(TensorModel.parse, config.tensors):
            make = _maker(entry, config)
            some = []
            for _ in range(entry.instances or config.tensors_instances):
                some.append(make())
                backends.append(some[-1])
            check_same(some)
            opened.append(
                ServedTensors(
                    entry.name,
                    entry.version or some[0].version or FIRST_VERSION,
                    some,
                    size_max=config.batch_size_max,
                    delay_ms=config.batch_delay_ms,
                    queue_max=config.queue_frames_max,
                    on_batch=on_batch,
                    sizes=entry.sizes,
                )
            )
    except MastraError:
        for backend in backends:
            backend.close()
        raise
    return opened


def _maker(entry: TensorModel, config: GatewayConfig) -> Callable[[], Backend]:
    if URL.match(entry.where):
        breaker = Breaker(FAILURES_MAX, REST_S)  # one server, however many connections
        return lambda: open_upstream(entry.where, config, breaker)
    path: Path = home_path(entry.where)
    if path.suffix == ".onnx":
        return lambda: OnnxBackend(path, threads=config.threads, providers=config.providers)
    if path.suffix == ".pt2":
        from .torch import TorchBackend

        return lambda: TorchBackend(path, threads=config.threads, device=config.torch_device)
    raise ConfigError(
        f"tensors: {entry.name}: expected a file .onnx or .pt2, or a URL, got {entry.where}"
    )


def open_upstream(
    url: str, config: GatewayConfig, breaker: Breaker | None = None
) -> UpstreamBackend:
    """A model on another server, which `breaker` watches.

    Raises ConfigError, LinkError, ModelError, DependencyError.
    """
    address = Address.parse(url)
    context = _context(config) if address.secure else None
    caller: Caller
    if address.grpc:
        from .grpc_caller import GrpcCaller

        caller = GrpcCaller(address, context)
    else:
        caller = HttpCaller(address, context, config.body_bytes_max)
    try:
        return UpstreamBackend(
            str(address),
            caller,
            limit_s=config.upstream_limit_ms / 1e3,
            retries=config.upstream_retries,
            breaker=breaker,
        )
    except MastraError:
        caller.close()
        raise


def upstreams(config: GatewayConfig) -> dict[str, str]:
    """The URL by name of the bundle whose network runs elsewhere. Raises ConfigError."""
    found = {}
    for text in config.upstream:
        name, equals, url = (part.strip() for part in text.partition("="))
        if not name or not equals or not URL.match(url):
            raise ConfigError(f"upstream: expected BUNDLE=URL, got {text!r:.200}")
        found[name] = url
    return found


def _context(config: GatewayConfig) -> ssl.SSLContext:
    """Trusts the system's authorities, or the one that is named, and checks names."""
    try:
        authority = str(home_path(config.upstream_ca)) if config.upstream_ca else None
        return ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"upstream_ca: {config.upstream_ca}: {error}") from error
