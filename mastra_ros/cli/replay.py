"""`mastra replay`: what a recording of `mastra run --record` says, and all of it once more."""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DataError, DependencyError

HELP = """\
Tell what is in a recording: how long it is, which topics, where results came from and how old they
were. With --publish its messages are published again, as far apart as they were."""
EXAMPLE = "mastra replay run.mcap --publish"

Entry = tuple[str, int, str, bytes]
"""Topic, when in ns, type, and the message as CDR."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("recording", type=Path, metavar="FILE.mcap", help="what was recorded")
    parser.add_argument("--publish", action="store_true", help="publish its messages again")
    parser.add_argument("--speed", type=float, default=1.0, help="so many times as fast")
    parser.add_argument("--namespace", default="/replay", help="before the topics")


def run(args: argparse.Namespace) -> int:
    """Read, tell, and publish where that is asked for."""
    if not 0.01 <= args.speed <= 1000.0:
        raise ConfigError(f"--speed: expected 0.01 to 1000, got {args.speed:g}")
    for line in summary(args.recording):
        print(line)
    if args.publish:
        _publish(args)
    return 0


def entries(path: Path) -> Iterator[Entry]:
    """The messages of a recording in their order. Raises DataError, DependencyError."""
    try:
        from mcap.exceptions import McapError
        from mcap.reader import make_reader
    except ImportError as error:
        raise DependencyError(f'{error}: pip install "mastra_ros[record]"') from error
    try:
        with path.open("rb") as file:
            for schema, channel, message in make_reader(file).iter_messages():
                if schema is not None and channel.message_encoding == "cdr":
                    yield channel.topic, message.log_time, schema.name, message.data
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (McapError, ValueError, KeyError, EOFError) as error:
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path}: no recording, or not all of one ({text})") from error


def summary(path: Path) -> list[str]:
    """What a recording says, in lines."""
    from ..nodes.run.reading import read_message

    counts: Counter[str] = Counter()
    origins: Counter[str] = Counter()
    ages: list[float] = []
    failed = 0
    first = last = None
    for topic, at_ns, kind, data in entries(path):
        counts[topic] += 1
        first, last = at_ns if first is None else first, at_ns
        if topic.rpartition("/")[2] == "result":
            result: Any = read_message(kind, data)
            if result is not None and result.final:
                origins[result.origin] += 1
                failed += bool(result.error)
                ages += [] if math.isnan(result.age_ms) else [result.age_ms]
    seconds = 0.0 if first is None or last is None else (last - first) / 1e9
    lines = [f"{path.name}: {sum(counts.values())} messages in {seconds:.1f} s"]
    lines += [f"  {topic}: {count}" for topic, count in sorted(counts.items())]
    whole = sum(origins.values())
    if whole:
        shares = ", ".join(f"{name} {n / whole:.1%}" for name, n in origins.most_common())
        lines.append(f"  results: {shares}; {failed} failed")
    if ages:
        ages.sort()
        p50, p99 = (ages[min(len(ages) - 1, int(len(ages) * share))] for share in (0.5, 0.99))
        lines.append(f"  age: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    return lines


def _publish(args: argparse.Namespace) -> None:
    try:
        from ..nodes.run.reading import Publishing
    except ImportError as error:
        raise DependencyError(f"{error}: source ROS 2 and the workspace") from error
    begun_s, first_ns = time.monotonic(), None
    with Publishing(args.namespace) as publishing:
        for topic, at_ns, kind, data in entries(args.recording):
            first_ns = at_ns if first_ns is None else first_ns
            due_s = begun_s + (at_ns - first_ns) / 1e9 / args.speed
            time.sleep(max(0.0, due_s - time.monotonic()))
            publishing.publish(topic, kind, data)
        print(f"published {publishing.count} messages below {args.namespace}")
