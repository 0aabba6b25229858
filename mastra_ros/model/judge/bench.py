"""How fast the models of a bundle are, by engine, threads and batch, beside the bare runtime.

The bare runtime is LiteRT's, ONNX Runtime's or OpenVINO's own interface fed with one prepared
tensor; it and `Detector.detect_batch` (convert, resize, normalise, run, decode) are timed in turn,
so that both see the same machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError
from ...inference import Bundle, BundlePart, Detector, Engine, EngineOptions, open_engine
from ...inference.opening import BUNDLE, is_installed, readers
from ...types import Frame, FrameKey
from ..progress import Progress, silent

WARM_UP = 3
SEED = 7
PARTS = ("local", "cloud", "cloud_int8")
"""The whole models of a bundle."""


@dataclass(frozen=True)
class Timing:
    """Percentiles of repeated runs, ms a run of `batch` frames."""

    part: str
    engine: str
    providers: str  # in use; a wish that was not met is named in `missing`
    missing: str
    threads: int
    batch: int
    joined: bool  # the batch is one run of the model, not one run for each frame
    p50_ms: float
    p99_ms: float
    bare_p50_ms: float
    bare_p99_ms: float

    @property
    def frames_per_s(self) -> float:
        """Throughput with everything around the model."""
        return 1e3 * self.batch / self.p50_ms

    @property
    def bare_frames_per_s(self) -> float:
        return 1e3 * self.batch / self.bare_p50_ms


def bench(
    bundle: Bundle,
    *,
    parts: Sequence[str] = PARTS,
    engines: Sequence[str] = (),
    threads: Sequence[int] = (1, 2),
    batches: Sequence[int] = (1, 4, 8),
    runs: int = 30,
    options: EngineOptions | None = None,
    progress: Progress = silent,
) -> list[Timing]:
    """Time every combination; frames are noise of the model's own size.

    Args:
        engines: those to try on each part whose file they read, `bundle` being the part's own;
            all that are installed where none is given.
    """
    options = options or EngineOptions()
    cases = [
        (name, engine, count, batch)
        for name in parts
        if name in bundle.parts
        for engine in _engines(bundle.parts[name], engines)
        for count in threads
        for batch in batches
    ]
    if not cases:
        raise ModelError(f"{bundle.path}: no part {' or '.join(parts)} to measure")
    return [
        _case(bundle, name, engine, batch, runs, replace(options, threads=count))
        for name, engine, count, batch in progress(cases, "bench")
    ]


def _engines(part: BundlePart, wanted: Sequence[str]) -> list[str]:
    if not wanted:
        return [name for name in readers(part) if is_installed(name)]
    named = [part.engine if name == BUNDLE else name for name in wanted]
    return [name for name in dict.fromkeys(named) if name in readers(part)]


def noise(bundle: Bundle, number: int) -> list[Frame]:
    """Frames of random pixels in the model's own size and colour."""
    rng = np.random.default_rng(SEED)
    spec = bundle.input
    shape = (spec.height_px, spec.width_px) + ((3,) if spec.channels == 3 else ())
    encoding = {"gray": "mono8", "rgb": "rgb8", "bgr": "bgr8"}[spec.colour]
    return [
        Frame(FrameKey("noise", i), rng.integers(0, 256, shape, np.uint8), encoding)
        for i in range(number)
    ]


def _case(
    bundle: Bundle,
    name: str,
    engine: str,
    batch: int,
    runs: int,
    options: EngineOptions,
) -> Timing:
    detector = Detector.open(bundle, name, engine=engine, options=options)
    bare = open_engine(bundle.part(name), engine, **vars(options))
    try:
        joined = bare.inputs[0].shape[0] is None
        frames = noise(bundle, batch)
        ours, theirs = in_turn(
            [lambda: detector.detect_batch(frames), bare_loop(bare, batch)], runs
        )
        return Timing(
            part=name,
            engine=bare.name,
            providers=",".join(bare.providers),
            missing=",".join(bare.missing),
            threads=options.threads,
            batch=batch,
            joined=joined,
            p50_ms=float(np.percentile(ours, 50)),
            p99_ms=float(np.percentile(ours, 99)),
            bare_p50_ms=float(np.percentile(theirs, 50)),
            bare_p99_ms=float(np.percentile(theirs, 99)),
        )
    finally:
        detector.close()
        bare.close()


def bare_loop(engine: Engine, batch: int) -> Callable[[], object]:
    """Run the engine alone on noise: once where it takes the batch, else once a frame."""
    spec = engine.inputs[0]
    rng = np.random.default_rng(SEED)
    fixed = spec.shape[0]
    shape = (batch if fixed is None else fixed, *(side or 1 for side in spec.shape[1:]))
    if spec.dtype.kind == "f":
        tensor = rng.random(shape, np.float32).astype(spec.dtype)
    else:
        limits = np.iinfo(spec.dtype)
        tensor = rng.integers(limits.min, limits.max + 1, shape).astype(spec.dtype)
    times = 1 if fixed is None else -(-batch // fixed)

    def run() -> object:
        return [engine.run(tensor) for _ in range(times)]

    return run


def in_turn(loops: Sequence[Callable[[], object]], runs: int) -> list[NDArray[np.float64]]:
    """The times in ms of each loop, run one after the other, `runs` times after a warm-up."""
    spent = np.zeros((len(loops), runs))
    for i in range(-WARM_UP, runs):
        for at, loop in enumerate(loops):
            started = time.perf_counter()
            loop()
            if i >= 0:
                spent[at, i] = (time.perf_counter() - started) * 1e3
    return list(spent)


def latencies(part: BundlePart, threads: int, runs: int = 50) -> NDArray[np.float64]:
    """Times in ms of a model alone on its runtime, batch 1."""
    engine = open_engine(part, threads=threads)
    try:
        return in_turn([bare_loop(engine, 1)], runs)[0]
    finally:
        engine.close()


def compare(
    first: BundlePart, second: BundlePart, threads: int, runs: int = 50
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times in ms of two models, run in turn on the same machine, batch 1."""
    engines = [open_engine(replace(part), threads=threads) for part in (first, second)]
    try:
        one, other = in_turn([bare_loop(engine, 1) for engine in engines], runs)
        return one, other
    finally:
        for engine in engines:
            engine.close()
