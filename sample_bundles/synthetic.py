"""Write the tables of the two made-up trials anew: `python -m sample_bundles.synthetic`.

Every row is drawn by a seeded generator; no person stands behind any. What the trials have in common with a published
one is said in the README beside their tables. The same Python gives the same bytes (tests/test_synthetic.py).
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from random import Random

from fhir_ivig.study.dictionary import dictionary

HERE = Path(__file__).parent
Row = dict[str, str]
Tables = dict[str, list[Row]]


def written(number: float, step: str) -> str:
    """A number rounded to a multiple of the step, with as many decimals as it has."""
    whole = (Decimal(repr(number)) / Decimal(step)).quantize(Decimal(1), ROUND_HALF_UP)
    return str(whole * Decimal(step))


def inside(number: float, least: float, most: float) -> float:
    return max(least, min(most, number))


def shuffled(draw: Random, words: Mapping[str, int]) -> list[str]:
    """Each word as often as it says, in a random order."""
    every = [word for word, times in words.items() for _ in range(times)]
    draw.shuffle(every)
    return every


def on(day: date, hour: float = 9) -> str:
    """A time of that day in UTC."""
    return (datetime(day.year, day.month, day.day) + timedelta(minutes=round(hour * 60))).isoformat() + "Z"


def infusions(draw: Random, subject: str, course: int, first: date, days: int, dose: float, step: str) -> list[Row]:
    """The infusions of a course, one a day; each takes some 3 to 5 hours."""
    rows = []
    for day in range(1, days + 1):
        begun = draw.uniform(8, 11)
        rows.append(
            {
                "subject": subject,
                "course": str(course),
                "day": str(day),
                "start": on(first + timedelta(day - 1), begun),
                "end": on(first + timedelta(day - 1), begun + draw.uniform(3, 5)),
                "product": "Human normal immunoglobulin",
                "lot": f"L{draw.randrange(100, 130)}",
                "dose": written(dose, step),
                "unit": "g",
                "status": "completed",
            }
        )
    return rows


def write(folder: Path, tables: Tables) -> None:
    """The tables as canonical CSV files."""
    known = dictionary()
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            lines = csv.DictWriter(file, list(known[name].columns), lineterminator="\n")
            lines.writeheader()
            lines.writerows(rows)


def assessment(subject: str, visit: str, day: date, measure: str, value: str, **cells: str) -> Row:
    """A row of assessments; an empty value was not performed."""
    why = {} if value else {"missing_reason": "not-performed"}
    filled = {"value": value, **cells} if value else {}
    return {"subject": subject, "visit": visit, "date": day.isoformat(), "measure": measure, **filled, **why}


def main() -> None:
    from sample_bundles.after_miyasaka2012 import trial as crossover
    from sample_bundles.after_proderm2022 import trial as parallel

    for folder, trial in (("after_miyasaka2012", crossover), ("after_proderm2022", parallel)):
        write(HERE / folder, trial.tables())
        sys.stdout.write(f"{HERE / folder}: written\n")


if __name__ == "__main__":
    main()
