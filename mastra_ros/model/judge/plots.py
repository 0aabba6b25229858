"""Pictures of measurements, as PNG, by matplotlib (imported when a plot is drawn)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...figures import new_figure
from .coding import Coding
from .evaluate import Evaluation

SIZE_INCH = (7.0, 4.2)


@contextmanager
def figure(path: Path, title: str) -> Iterator[Any]:
    """Axes to draw on; written to `path` at the end. Raises DependencyError without matplotlib."""
    made = new_figure(*SIZE_INCH)
    axes = made.add_subplot()
    axes.set_title(title)
    axes.grid(alpha=0.3)
    yield axes
    path.parent.mkdir(parents=True, exist_ok=True)
    made.savefig(path)


def joint(evaluation: Evaluation, path: Path) -> None:
    """Accuracy of joint inference over the share of frames sent up, beside the single ways."""
    with figure(path, f"{evaluation.bundle.name}: accuracy by share of frames sent up") as axes:
        curve = evaluation.curve
        axes.plot(
            [p.share_up for p in curve], [p.accuracy for p in curve], "o-", ms=3, label="joint"
        )
        for name, style in (("local", ":"), ("cloud", "--"), ("split", "-.")):
            if name in evaluation.scores:
                value = evaluation.scores[name].accuracy
                axes.axhline(value, color="gray", linestyle=style, label=f"{name} {value:.4f}")
        axes.set_xlabel("share of frames sent up")
        axes.set_ylabel("accuracy")
        above = axes.secondary_xaxis("top", functions=_bytes_axis(evaluation))
        above.set_xlabel("mean bytes a frame")
        axes.legend()


def coding(done: Coding, name: str, lose_points: float, path: Path) -> None:
    """Accuracy against bytes a frame, a line a codec, with its qualities beside the points."""
    with figure(path, f"{name}: accuracy by bytes a frame") as axes:
        for codec in dict.fromkeys(point.codec for point in done.points):
            curve = done.of(codec)
            axes.plot(
                [p.bytes_mean for p in curve], [p.accuracy for p in curve], "o-", ms=3, label=codec
            )
            for point in curve:
                place = (point.bytes_mean, point.accuracy)
                axes.annotate(str(point.quality), place, fontsize=6, alpha=0.7)
        least = done.raw_accuracy - lose_points / 100.0
        axes.axhline(done.raw_accuracy, color="gray", linestyle="--", label="as they are")
        axes.axhline(least, color="gray", linestyle=":", label=f"{lose_points:g} points less")
        axes.set_xscale("log")
        axes.set_xlabel("bytes a frame")
        axes.set_ylabel(done.measure)
        axes.legend()


def _bytes_axis(evaluation: Evaluation) -> tuple[Any, Any]:
    whole = max(evaluation.curve[-1].bytes_mean, 1.0)
    return (lambda share: share * whole, lambda size: size / whole)


def bars(values: Mapping[str, float], path: Path, *, title: str, unit: str) -> None:
    """One horizontal bar for each value, the first on top."""
    with figure(path, title) as axes:
        names = list(values)[::-1]
        axes.barh(names, [values[name] for name in names])
        axes.set_xlabel(unit)


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    path: Path,
    *,
    title: str,
    x: str,
    y: str,
    log_y: bool = False,
) -> None:
    """Named lines of x and y."""
    with figure(path, title) as axes:
        for name, (xs, ys) in series.items():
            axes.plot(xs, ys, "o-", ms=3, label=name)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        if log_y:
            axes.set_yscale("log")
        axes.legend()
