"""Nothing vanishes over whole commands, however a study's tables or FHIR files are spoilt.

Tables to FHIR: every row is written by each mapping that it is for, or is withheld with an Issue that names it.
FHIR to tables: resources read = those that gave a row + withheld + unclaimed + broken, each of the last three with an
Issue that names its line; and each that gave a row stands behind a row, or is told to repeat another.
"""

from __future__ import annotations

import csv
import json
import random
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_study import write

from fhir_ivig.study.study import Study
from fhir_ivig.sync.export import bind, export
from fhir_ivig.sync.tabulate import tabulate

SAMPLE = Path(__file__).parents[1] / "sample_bundles/hara2003"
STUDY = Study.load(SAMPLE / "study.yaml")
MAPPINGS = bind(STUDY).mappings
CELLS = [
    *(
        "",
        "x",
        "a/b",
        "HARA-01",
        "HARA-99",
        "1",
        "2",
        "9",
        "2003-02-30",
        "2003-05",
        "05/06/2003",
        "612,60",
        "1e3",
        "-0",
        "NaN",
    ),
    *(
        "U/L",
        "mg/dL",
        "CK",
        "MMT",
        "week 0",
        "week 99",
        "<",
        "error",
        "yes",
        "death;x",
        '"',
        "\n",
        "a,b",
        " b",
        "字",
        "\u200b",
    ),
]
law = settings(
    max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)

Row = dict[str, str]


@cache
def sample_rows(table: str) -> list[Row]:
    with (SAMPLE / f"{table}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@cache
def sample_lines() -> list[str]:
    with TemporaryDirectory() as folder:
        export(STUDY, Path(folder) / "fhir")
        files = sorted(Path(folder, "fhir").glob("[A-Z]*.ndjson"))
        return [line for file in files for line in file.read_text("utf-8").splitlines()]


def spoilt_tables(chance: random.Random) -> dict[str, list[Row]]:
    """The sample's tables with some cells changed, rows doubled, rows taken out."""
    tables = {table: [dict(row) for row in sample_rows(table)] for table in STUDY.tables}
    for _ in range(chance.randint(1, 25)):
        rows = tables[chance.choice(list(tables))]
        place = chance.randrange(len(rows))
        what = chance.choice(["cell", "cell", "cell", "copy", "lose"])
        if what == "cell":
            rows[place][chance.choice(list(rows[place]))] = chance.choice(CELLS)
        elif what == "copy":
            rows.insert(chance.randrange(len(rows)), dict(rows[place]))
        elif len(rows) > 1:
            del rows[place]
    return tables


@law
@given(st.integers(0, 2**32 - 1))
def test_no_row_vanishes_on_the_way_to_fhir(seed: int) -> None:
    tables = spoilt_tables(random.Random(seed))
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.yaml").write_bytes((SAMPLE / "study.yaml").read_bytes())
        for table, rows in tables.items():
            write(folder / f"{table}.csv", rows, rows[0])
        done = export(Study.load(folder / "study.yaml"), folder / "fhir")
        lines = [line for file in folder.glob("fhir/[A-Z]*.ndjson") for line in file.read_text("utf-8").splitlines()]
        issues = [json.loads(line) for line in (folder / "fhir/issues.ndjson").read_text("utf-8").splitlines()]
    errors: dict[str, set[int]] = defaultdict(set)
    for issue in issues:
        assert issue["severity"] == "error"
        errors[issue["file"].removesuffix(".csv")].add(issue["row"])
    written = Counter(key for line in lines for key in identities(line))
    assert len(lines) == sum(done.resources.values()) == sum(written.values())
    assert set(written.values()) <= {1}
    wanted = set()
    for table, rows in tables.items():
        assert done.rows[table] == len(rows)
        assert done.withheld[table] == len(errors[table])
        for number, row in enumerate(rows, 2):
            for mapping in MAPPINGS.tables[table]:
                mine = all(row[column] == cell for column, cell in mapping.rows.items())
                filled = any(row[column] for column in mapping.columns if column not in mapping.key)
                key = (mapping.name, "/".join(row[column] for column in mapping.key))
                if mine and (filled or not mapping.optional):
                    wanted.add(key)
                    assert key in written or number in errors[table], (table, number)
    assert {key for key in written if key[0] != "research_study"} <= wanted


def identities(line: str) -> list[tuple[str, str]]:
    """The mapping and key of a resource."""
    found = json.loads(line)["identifier"]
    own = found if isinstance(found, list) else [found]
    base = f"{STUDY.base}/"
    return [(each["system"].removeprefix(base), each["value"]) for each in own if each["system"].startswith(base)]


def spoilt_line(line: str, chance: random.Random) -> str:
    """A line cut off, with a sign or an element changed, void, of another type, of somebody else."""
    place, resource = chance.randrange(len(line)), json.loads(line)
    choices = [
        line[:place],
        line[:place] + chance.choice(['"', "\\", "0", "9", "e", "}", "é", " ", "\x00"]) + line[place + 1 :],
        json.dumps({**resource, "status": chance.choice(["entered-in-error", "final", "x", 1])}),
        json.dumps({**resource, "resourceType": chance.choice(["Basic", "Observation", "Nothing", None])}),
        json.dumps({**resource, "modifierExtension": [{"url": "https://example.org/not"}]}),
        json.dumps({name: value for name, value in resource.items() if name != chance.choice(list(resource))}),
        json.dumps({**resource, chance.choice(list(resource)): chance.choice([None, [], {}, "x", 7, [None]])}),
        json.dumps({**resource, "identifier": [], "subject": {"reference": "Patient/nobody"}}),
        json.dumps({**resource, "id": "other"}),
    ]
    return chance.choice(choices).replace("\n", " ")


@law
@given(st.integers(0, 2**32 - 1))
def test_no_resource_vanishes_on_the_way_to_tables(seed: int) -> None:
    chance = random.Random(seed)
    lines = list(sample_lines())
    for _ in range(chance.randint(1, 40)):
        place = chance.randrange(len(lines))
        lines[place] = spoilt_line(sample_lines()[chance.randrange(len(sample_lines()))], chance)
        if chance.random() < 0.2:
            lines.append(lines[chance.randrange(len(lines))])
    lines = [line for line in lines if line.strip()]
    chance.shuffle(lines)
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "all.ndjson").write_text("".join(f"{line}\n" for line in lines), "utf-8")
        done = tabulate([folder / "all.ndjson"], STUDY, folder / "out", sort=chance.random() < 0.5)
        issues = [json.loads(line) for line in (folder / "out/issues.ndjson").read_text("utf-8").splitlines()]
        behind = [
            reference
            for file in (folder / "out/resources").glob("*.csv")
            for line in file.read_text("utf-8").splitlines()[1:]
            for reference in line.split(";")
        ]
        rows = {
            table: len(list(csv.reader((folder / f"out/{table}.csv").open(encoding="utf-8", newline="")))) - 1
            for table in done.rows
        }
    assert done.resources == len(lines)
    lost = sum(done.withheld.values()) + done.unclaimed + done.broken
    assert done.resources == sum(done.gave.values()) + lost
    named = {issue["row"] for issue in issues if issue.get("file", "").endswith("all.ndjson") and "row" in issue}
    assert len(named) >= lost
    repeats = [issue for issue in issues if issue["code"] == "duplicate" and issue["severity"] == "information"]
    assert len(behind) + len(repeats) == sum(done.gave.values())
    assert rows == done.rows
