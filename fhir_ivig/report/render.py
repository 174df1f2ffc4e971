"""From SVG and HTML to pictures and paper, by whatever program is there; nothing is fetched."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.report.figures.figure import Figure
from fhir_ivig.report.sheet import to_csv

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 300
NO_PDF = 'Neither WeasyPrint nor Chromium is here: run `pip install "fhir-ivig[pdf]"`, or install chromium.'
NO_PNG = "No PNG files: neither cairosvg nor chromium is here. The SVG and CSV files are written."


def write_figures(figures: list[Figure], folder: Path, progress: Callable[..., None]) -> list[Issue]:
    """Each figure as SVG and its values as CSV, and as PNG where a program for that is there (else an Issue)."""
    draw = _png_writer()
    for place, figure in enumerate(figures):
        progress("figures written", place, len(figures))
        (folder / f"{figure.name}.svg").write_text(figure.drawing, "utf-8")
        text = to_csv(figure.values.heads, figure.values.rows)
        (folder / f"{figure.name}.csv").write_text(text, "utf-8", newline="")
        if draw:
            draw(folder / f"{figure.name}.svg", folder / f"{figure.name}.png")
    return [] if draw else [Issue("warning", "not-supported", NO_PNG, str(folder))]


def to_pdf(html: str) -> bytes:
    """The page on A4, by WeasyPrint, else by Chromium. IssueError where neither is there, or fails."""
    if find_spec("weasyprint"):
        import weasyprint

        pdf: bytes = weasyprint.HTML(string=html, url_fetcher=_nothing).write_pdf()
        return pdf
    browser = _browser()
    if browser is None:
        raise IssueError(Issue("fatal", "not-supported", NO_PDF))
    with TemporaryDirectory() as folder:
        page, out = Path(folder, "report.html"), Path(folder, "report.pdf")
        page.write_text(html, "utf-8")
        _run(browser, folder, f"--print-to-pdf={out}", "--no-pdf-header-footer", page.as_uri())
        return out.read_bytes()


def _nothing(url: str, *_: object, **__: object) -> dict[str, object]:
    raise ValueError(f"The page asks for {url}, and nothing may be fetched.")


def _png_writer() -> Callable[[Path, Path], None] | None:
    """What turns an SVG file into a PNG file of twice its size."""
    if find_spec("cairosvg"):
        import cairosvg

        return lambda svg, png: cairosvg.svg2png(url=str(svg), write_to=str(png), scale=2, background_color="white")
    browser = _browser()
    return None if browser is None else lambda svg, png: _shoot(browser, svg, png)


def _shoot(browser: str, svg: Path, png: Path) -> None:
    head = svg.read_text("utf-8").partition(">")[0]
    width, height = (round(float(head.partition(f' {name}="')[2].partition('"')[0])) for name in ("width", "height"))
    size = (f"--window-size={width},{height}", "--force-device-scale-factor=2", "--hide-scrollbars")
    with TemporaryDirectory() as folder:
        _run(browser, folder, *size, f"--screenshot={png.resolve()}", svg.resolve().as_uri())


def _browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def _run(browser: str, profile: str, *arguments: str) -> None:
    """One headless run on our own page; its sandbox cannot be had by root."""
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    quiet = ["--headless", "--disable-gpu", f"--user-data-dir={profile}/profile", *root]
    try:
        subprocess.run(  # noqa: S603 (a browser found on the path, our own file)
            [browser, *quiet, *arguments], check=True, capture_output=True, timeout=SECONDS
        )
    except (subprocess.SubprocessError, OSError) as error:
        said = f"Chromium could not do it ({type(error).__name__}): try again, or install WeasyPrint."
        raise IssueError(Issue("fatal", "processing", said)) from None
