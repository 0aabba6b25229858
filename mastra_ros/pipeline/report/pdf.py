"""A report as a PDF of a page or two: the numbers, how they came about, and the pictures."""

from __future__ import annotations

import io
from typing import Any

from mastra_ros.pipeline.volume.surface import needs_medical

from .measured import Measured, Report, when

MARGIN_PT = 42.0
ROW_PT = 14.0
HEAD = ("structure", "kind", "volume (ml)", "axes (mm)", "centre x, y, z (mm)", "whole")
LEFT_PT = (0.0, 70.0, 110.0, 205.0, 345.0, 470.0)


def pdf_report(report: Report, pictures: list[bytes], note: str) -> bytes:
    """The file; pictures are PNG, each as wide as the page allows. The same in, the same out."""
    try:
        from reportlab import rl_config
        from reportlab.lib.pagesizes import A4
        from reportlab.lib.utils import ImageReader
        from reportlab.pdfgen.canvas import Canvas
    except ImportError:
        raise needs_medical("reportlab") from None
    rl_config.useA85 = 0  # pictures as bytes, not as letters, which takes half of the time
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=A4, invariant=1, pageCompression=1)
    canvas.setTitle(f"Measurements: {'/'.join(report.identity)}")
    canvas.setSubject(note)
    width, height = A4
    page = _Page(canvas, width, height, note)
    page.text("Freehand 3D ultrasound: measurements", 15, "Helvetica-Bold")
    page.text("It measures; it makes no findings. Preliminary, seen by nobody.", 9)
    for line in _about(report):
        page.text(line, 9)
    page.table(report.measured)
    page.text(
        "Uncertainties are expanded (k = 2), measured on drawn phantoms; what the calibration is "
        "off by comes on top.",
        8,
    )
    for remark in report.notes:
        page.text(f"Note: {remark}", 9, "Helvetica-Bold")
    for data in pictures:
        page.picture(ImageReader(io.BytesIO(data)))
    page.close()
    canvas.save()
    return file.getvalue()


def _about(report: Report) -> list[str]:
    lines = [
        f"Sweep {'/'.join(report.identity)}; subject: {report.subject or 'not told'}",
        (
            f"{when(report.began_ns):%Y-%m-%d %H:%M:%S} to {when(report.ended_ns):%H:%M:%S} UTC; "
            f"{report.frames} frames, {report.missing} missing"
        ),
        (
            f"Volume of {' x '.join(map(str, report.size))} voxels of {report.spacing_mm[0]:g} mm; "
            f"{report.distribution}, {report.compounding}; "
            f"{report.covered:.1%} of what was swept was hit"
        ),
        (
            f"Calibration {report.calibration[:16] or 'not told'}; noise of the poses "
            f"{report.jitter_mm:.2f} mm"
        ),
    ]
    if report.refused:
        told = ", ".join(f"{reason}: {count}" for reason, count in report.refused)
        lines.append(f"Frames refused on the device: {told}")
    return lines


class _Page:
    """Writes from the top down; begins a new page where nothing more fits."""

    def __init__(self, canvas: Any, width: float, height: float, note: str) -> None:
        self._canvas, self._width, self._height, self._note = canvas, width, height, note
        self._begin()

    def _begin(self) -> None:
        for y in (self._height - 22, 16):
            self._canvas.setFillColorRGB(0.63, 0.16, 0.16)
            self._canvas.rect(0, y - 6, self._width, 20, stroke=0, fill=1)
            self._canvas.setFillColorRGB(1, 1, 1)
            self._canvas.setFont("Helvetica-Bold", 10)
            self._canvas.drawCentredString(self._width / 2, y, self._note)
        self._canvas.setFillColorRGB(0, 0, 0)
        self._y = self._height - 56.0

    def _need(self, points: float) -> None:
        if self._y - points < MARGIN_PT:
            self._canvas.showPage()
            self._begin()

    def text(self, text: str, size: int, font: str = "Helvetica") -> None:
        """Lines of text, broken where they are too long."""
        line = ""
        for word in [*text.split(), ""]:
            longer = f"{line} {word}".strip()
            wide = self._canvas.stringWidth(longer, font, size)
            if word and wide <= self._width - 2 * MARGIN_PT:
                line = longer
                continue
            self._need(size + 4.0)
            self._canvas.setFont(font, size)
            self._canvas.drawString(MARGIN_PT, self._y, line)
            self._y -= size + 4.0
            line = word

    def table(self, measured: tuple[Measured, ...]) -> None:
        """A row a structure."""
        self._y -= 6
        self._row(HEAD, "Helvetica-Bold")
        for one in measured:
            axes = " x ".join(f"{length:.1f}" for length in one.axes_mm)
            centre = ", ".join(f"{mm:.1f}" for mm in one.centre_mm)
            cells = (
                one.name,
                one.kind,
                f"{one.volume_ml:.2f} ± {one.volume_uncertainty_ml:.2f}",
                f"{axes} ± {one.axis_uncertainty_mm:.1f}",
                f"{centre} ± {one.centre_uncertainty_mm:.1f}",
                "yes" if one.whole else "no: lower bound",
            )
            self._row(cells, "Helvetica")
        if not measured:
            self._row(("none found", "", "", "", "", ""), "Helvetica")
        self._y -= 4

    def _row(self, cells: tuple[str, ...], font: str) -> None:
        self._need(ROW_PT)
        self._canvas.setFont(font, 8)
        for left, cell in zip(LEFT_PT, cells, strict=True):
            self._canvas.drawString(MARGIN_PT + left, self._y, cell)
        self._y -= ROW_PT

    def picture(self, image: Any) -> None:
        """As wide as the page, and no higher than a third of it."""
        wide, high = image.getSize()
        scale = min((self._width - 2 * MARGIN_PT) / wide, self._height / 3 / high)
        self._need(high * scale + 8)
        self._y -= high * scale
        self._canvas.drawImage(image, MARGIN_PT, self._y, wide * scale, high * scale)
        self._y -= 8

    def close(self) -> None:
        """End the last page."""
        self._canvas.showPage()
