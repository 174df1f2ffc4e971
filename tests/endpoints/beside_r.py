"""R as a second source: many small data sets in one call."""

from __future__ import annotations

import csv
import math
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

SETS = 250

# Reads the data sets, asks `ask` for a vector of numbers for each, writes them.
FRAME = """
options(warn = -1)
given <- read.csv("given.csv")
{ask}
found <- lapply(split(given, given$set), function(one) data.frame(set = one$set[1], t(ask(one))))
write.csv(do.call(rbind, found), "found.csv", row.names = FALSE)
"""


def in_r(
    folder: Path, rows: Sequence[Mapping[str, object]], ask: str, packages: Sequence[str] = ()
) -> list[list[float]]:
    """What an R function `ask`, from the rows of a set to a vector, gives for each set, in their order; NA is nan."""
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed (Debian: r-base-core, r-cran-survival, r-cran-coin, r-cran-epi)")
    with (folder / "given.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    script = "".join(f"suppressMessages(library({package}))\n" for package in packages) + FRAME.format(ask=ask)
    done = subprocess.run(["Rscript", "-e", script], cwd=folder, capture_output=True, text=True, check=False)
    if "there is no package called" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    with (folder / "found.csv").open() as file:
        lines = list(csv.reader(file))[1:]
    by_set = {int(line[0]): [float(cell.replace("NA", "nan")) for cell in line[1:]] for line in lines}
    return [by_set[place] for place in sorted(by_set)]


def near(ours: object, theirs: float, by: float = 1e-7) -> bool:
    """Whether two numbers are the same but for rounding, relative where they are large; None is nan."""
    if ours is None or math.isnan(theirs):
        return ours is None and math.isnan(theirs)
    return math.isclose(float(ours), theirs, rel_tol=by, abs_tol=by)  # type: ignore[arg-type]
