"""Writes the measurements of the pages of ultrasound from bench/results/ultrasound.json.

    python -m bench.ultrasound_table [--check]

With --check nothing is written, and the status is 1 if they are old.
"""

from __future__ import annotations

import sys
from typing import Any

from bench import page
from bench.published import result
from bench.ultrasound_bars import LAGGED, PHANTOMS

DEVICE, CLOUD = "docs/ultrasound.md", "docs/ultrasound_volume.md"
COMMAND = "python -m bench.ultrasound"
Rows = list[tuple[Any, ...]]


def device(told: dict[str, Any]) -> str:
    """What the device shows and tells."""
    rows: Rows = []
    if one := told.get("scan"):
        rows.append(("pixels of the curved probe as PLUS has them", f"{_share(one['same'])}"))
        rows.append(("converting a picture of it", f"{one['ms_a_picture']:g} ms"))
    if one := told.get("lag"):
        lag = f"{one['plus_ms']:g} ms (PLUS: -64.8 ms), agreement {one['agreement']:g}"
        rows.append(("lag of the water tank's recording", lag))
    if one := told.get("privacy"):
        rows.append(("pixels of the burned-in name that would leave", f"{one['leaked']:,}"))
        rows.append(("of lit pixels outside the region", f"{one['pixels_lit_outside']:,}"))
        rows.append(("pixels inside the region that are changed", f"{one['changed']:,}"))
    if one := told.get("draw"):
        ages = f"{one['p50_ms']:g} / {one['p99_ms']:g} ms"
        rows.append(("drawing a live picture of 640 x 480, one core, p50 / p99", ages))
    names = {"alone": "alone", "sweeping": "while the sweep goes up over 10 Mbit/s"}
    for name, words in names.items():
        if one := told.get("live", {}).get(name):
            ages = " / ".join(_ms(one[f"age_{key}_ms"]) for key in ("p50", "p99"))
            what = f"age of the live picture {words}, device on one core, p50 / p99"
            rows.append((what, f"{ages} ms"))
            rows.append(("live pictures shown, of those at 30 a second", _of(one)))
    return _table(("what", "measured"), rows)


def cloud(told: dict[str, Any]) -> str:
    """What becomes of sweeps and of castings."""
    made = [_plus(told.get("plus", {})), _phantoms(told.get("phantom", {})), _rest(told)]
    bars = told.get("bars", [])
    lines = page.missed(told)
    if all(bar["holds"] for bar in bars):
        lines = [f"{len(bars)} of {len(bars)} bars hold."]
    return "\n\n".join([*filter(None, made), "\n".join(lines)])


def _plus(told: dict[str, Any]) -> str:
    heads = ("PLUS's reference", "voxels", "as PLUS computes", "correlation", "mean difference")
    rows = [
        (
            {"NNMEAN": "NN MEAN", "NNLATE": "NN LATE"}[name],
            " x ".join(map(str, one["size"])),
            f"{_share(one['compatible']['identical'])} identical",
            f"{one['double']['correlation']:.5f}",
            f"{one['double']['difference']:.3f}",
        )
        for name, one in told.items()
    ]
    return _table(heads, rows)


def _phantoms(told: dict[str, Any]) -> str:
    seeds = max((len(one["seeds"]) for one in told.values()), default=0)
    heads = (
        f"drawn phantom, the worst of {seeds} seeds",
        "ellipsoid: volume",
        "surface, mean / p95",
        "sphere: volume",
        "surface, mean / p95",
    )
    rows = []
    for name in (one for one in PHANTOMS if one in told):
        cells = []
        for body in ("ellipsoid", "sphere"):
            one = told[name]["worst"][body]
            if one is None:
                cells += ["not found", ""]
                continue
            cells.append(f"{one['volume']:.1%}")
            cells.append(f"{one['surface_mean_mm']:.2f} / {one['surface_p95_mm']:.2f} mm")
        rows.append((f"{name} (has to be seen)" if name == LAGGED else name, *cells))
    return _table(heads, rows)


def _rest(told: dict[str, Any]) -> str:
    rows: Rows = []
    if one := told.get("speed"):
        rates = f"{one['nearest']:.0f} nearest, {one['linear']:.0f} linear"
        rows.append(("frames of 820 x 616 a second on one core", rates))
    if one := told.get("end_to_end"):
        times = ", ".join(f"{sweep['on_device_s']:.2f}" for sweep in one["sweeps"])
        what = "from the last frame to volume, mesh and report on the device"
        rows.append((f"{what}, {one['voxels']:,} voxels, sweep by sweep", f"{times} s"))
        rows.append(("of it: volume / all files", f"{one['volume_s']:.2f} / {one['made_s']:.2f} s"))
    if one := told.get("castings"):
        worst = f"{one['volume']:.1%} of volume, {one['place_mm']:.2f} mm"
        rows.append(("voids of drawn castings, the worst", worst))
    return _table(("what", "measured"), rows)


def _table(heads: tuple[str, ...], rows: Rows) -> str:
    if not rows:
        return ""
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _share(value: float) -> str:
    return "100 %" if value == 1.0 else f"{100 * value:.4f} %"


def _ms(value: float | None) -> str:
    return "not measured" if value is None else f"{value:g}"


def _of(one: dict[str, Any]) -> str:
    return f"{one['shown']:,} of {one['of']:,}"


def main() -> int:
    """Bring both pages up to date, or say that one is old."""
    told, check = result(page.ROOT, "ultrasound"), page.asked_to_check(__doc__)
    status = 0
    for name, made in ((DEVICE, device(told)), (CLOUD, cloud(told))):
        text = made if told else f"Not measured yet: `{COMMAND}`."
        new = page.between(page.read(name), f"\n{text}\n")
        status |= page.write(name, new, check=check)
    return status


if __name__ == "__main__":
    sys.exit(main())
