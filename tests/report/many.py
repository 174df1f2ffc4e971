"""The sample study with as many subjects as one likes: its own, again and again, each time under other numbers."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

SAMPLE = Path(__file__).parents[2] / "sample_bundles/hara2003"


def multiply(sample: Path, folder: Path, subjects: int) -> None:
    """Write the sample's tables with so many subjects, the values of each moved a little so that no two are alike."""
    folder.mkdir()
    shutil.copy(sample / "study.yaml", folder)
    with (sample / "subjects.csv").open(encoding="utf-8", newline="") as file:
        own = [row["subject"] for row in csv.DictReader(file)]
    for table in sample.glob("*.csv"):
        with table.open(encoding="utf-8", newline="") as file:
            head, *rows = csv.reader(file)
        by_subject = {subject: [row for row in rows if row[0] == subject] for subject in own}
        with (folder / table.name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(head)
            for number in range(subjects):
                for row in by_subject[own[number % len(own)]]:
                    moved = dict(zip(head, row, strict=True)) | {"subject": f"S-{number + 1:05}"}
                    if moved.get("unit") == "U/L" and moved.get("value"):
                        moved["value"] = f"{float(moved['value']) * (1 + number % 997 / 2000):.1f}"
                    writer.writerow(moved.values())
