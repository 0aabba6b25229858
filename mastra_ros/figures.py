"""Figures to draw on, by matplotlib, which a device may lack: it is imported when one is drawn.

`pip install "mastra-ros[plot]"` brings it. Who draws at the end of long work calls `prepare` first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .errors import ConfigError, DependencyError

MISSING = "plots need matplotlib: pip install matplotlib, or apt install python3-matplotlib"


def new_figure(width_inch: float, height_inch: float, *, dpi: int = 110) -> Any:
    """An empty matplotlib Figure that needs no screen. Raises DependencyError without it."""
    try:
        import matplotlib  # noqa: F401
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DependencyError(MISSING) from error
    made = Figure(figsize=(width_inch, height_inch), dpi=dpi, layout="constrained")
    FigureCanvasAgg(made)
    return made


def prepare(path: Path | None, option: str = "--plot") -> None:
    """Find out whether a plot can be drawn into this file, and make its folder; None is no plot.

    Raises:
        DependencyError: matplotlib is not installed.
        ConfigError: no kind of picture that it can write, or a folder that cannot be made.
    """
    if path is None:
        return
    figure = new_figure(1, 1)
    kinds = sorted(f".{kind}" for kind in figure.canvas.get_supported_filetypes())
    if path.suffix.lower() not in kinds:
        raise ConfigError(
            f"{option}: expected a file ending in one of {', '.join(kinds)}, got {path}"
        )
    prepare_folder(path.parent, option)


def prepare_folder(folder: Path | None, option: str = "--plot") -> None:
    """Find out whether plots can be drawn, and make the folder for them; raises as `prepare`."""
    if folder is None:
        return
    new_figure(1, 1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{option}: cannot make {folder}: {error.strerror}") from error
