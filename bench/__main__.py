"""Measure the engine and the commands: `make bench`, on one core, with nothing else running.

Everything is compared within one run, as a ratio: machines differ and are noisy, so an absolute time proves nothing.
Each figure is the best of several rounds in which all methods take turns. Files are in memory (/dev/shm, where there
is one), so that no disk is measured. The data are synthetic.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROWS = 200_000
SUBJECTS = 1_250
ROUNDS = 5
MODELS = 2_000  # resources given to fhir.resources; its time is scaled up
BASE = "https://example.org/studies/bench"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
TARGETS = {
    "engine writing / orjson.dumps": 1.0,
    "engine writing / fhir.resources": 200.0,
    "engine reading / orjson.loads": 0.7,
    "export command / orjson.dumps": 0.7,
    "tabulate command / orjson.loads": 0.5,
}
LIMITS = {
    "export memory, 10 x rows": 1.15,
    "tabulate memory, 10 x rows": 1.15,
    "--help / python -c pass": 6.0,
    "endpoints command / pandas.read_csv": 3.0,
    "endpoints memory / pandas.read_csv": 2.0,
}
ASSESSED, ASSESSED_SUBJECTS = 1_000_000, 50_000  # for the endpoints: 20 visits each
ENDPOINTS = """populations: {everyone: {label: Everyone, table: subjects}}
endpoints:
  ck: {kind: paired_change, population: everyone, measure: CK, from: week 0, to: week 19}
"""


def main() -> int:
    """Run everything, print a table, and say whether every target is met (exit code 1 if not)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=shm) as folder:
        here = Path(folder)
        write_study(here / "study", ROWS)
        figures, dump, load = engine()
        found = {**figures, **commands(here, dump, load), **start_up(), **memory(here), **endpoints(here)}
    missed = report(found)
    return 1 if missed else 0


def assessments(rows: int, subjects: int = SUBJECTS) -> Iterator[tuple[str, str, str, str]]:
    """Subject, visit, date and value of so many measurements of creatine kinase."""
    chance, visits = random.Random(1), rows // subjects
    for subject in range(subjects):
        for visit in range(visits):
            date = f"20{visit % 20 + 1:02d}-{visit % 12 + 1:02d}-{subject % 28 + 1:02d}"
            yield f"S{subject:06d}", f"week {visit}", date, f"{chance.randint(100, 99999) / 10:.2f}"


def write_study(folder: Path, rows: int, subjects: int = SUBJECTS) -> None:
    """A study of creatine kinase only: subjects and assessments."""
    folder.mkdir()
    weeks = "\n".join(f"  - {{visit: week {week}, day: {7 * week}}}" for week in range(max(rows, ROWS) // subjects))
    (folder / "study.yaml").write_text(
        f"study: bench\ntitle: Bench\nstatus: completed\nbase: {BASE}\nfhir_version: R4\n"
        "parameters: {mrn_system: https://hospital.example.org/mrn}\n"
        f"visits:\n{weeks}\nmeasures:\n  CK: {{label: Creatine kinase, unit: U/L}}\n"
        "tables: {subjects: {}, assessments: {}}\n"
    )
    with (folder / "subjects.csv").open("w") as out:
        out.write("subject,sex,birth_date,diagnosis,diagnosis_date,biopsy_proven,mrn,site\n")
        out.writelines(f"S{subject:06d},female,1950,PM,,,,\n" for subject in range(subjects if rows else 1))
    with (folder / "assessments.csv").open("w") as out:
        out.write("subject,visit,date,measure,sign,value,unit,upper_limit,scale_max,missing_reason\n")
        for subject, visit, date, value in assessments(rows, subjects):
            out.write(f"{subject},{visit},{date},CK,,{value},U/L,200,,\n")


def rows_in_memory() -> Any:
    """The same assessments as one batch."""
    import pyarrow as pa

    named = zip(("subject", "visit", "date", "value"), zip(*assessments(ROWS), strict=True), strict=True)
    always = {"measure": "CK", "unit": "U/L", "upper_limit": "200"}
    columns = {**dict(named), **{name: [cell] * ROWS for name, cell in always.items()}}
    return pa.record_batch({name: pa.array(cells, pa.string()) for name, cells in columns.items()})


def best(*methods: Callable[[], Any], rounds: int = ROUNDS) -> list[float]:
    """The best time of each method, in seconds; they take turns."""
    times = [float("inf")] * len(methods)
    for _ in range(rounds):
        for place, method in enumerate(methods):
            start = time.perf_counter()
            method()
            times[place] = min(times[place], time.perf_counter() - start)
    return times


def engine() -> tuple[dict[str, float], Callable[[], Any], Callable[[], Any]]:
    """Rows in memory to JSON in memory and back, identities and checks included; and what orjson has to do."""
    import orjson
    from fhir.resources.R4B.observation import Observation

    from fhir_ivig.library import bind_mapping
    from fhir_ivig.mapping import collection

    bound = bind_mapping("creatine_kinase", base=BASE).bound
    writer, batch = bound.writers["creatine_kinase"], rows_in_memory()
    lines = [line.encode() for line in writer.write(batch).json_lines()]
    documents = [orjson.loads(line) for line in lines]
    print(f"{len(lines):,} Observations of {len(lines[0])} bytes each")
    blocks = list(cut(b"".join(line + b"\n" for line in lines)))

    def read() -> None:
        references, first, rows = collection.References(), 1, 0
        for block, count in blocks:
            found = bound.read(block, range(first, first + count), None, references)
            first, rows = first + count, rows + sum(one.batch.num_rows for one in found.reads)
        if rows != ROWS:
            raise SystemExit(f"read {rows} rows of {ROWS}")

    def dump() -> list[bytes]:  # kept, as the engine keeps its lines
        return [orjson.dumps(document) for document in documents]

    def throw_away() -> None:
        for document in documents:
            orjson.dumps(document)

    def read_elements() -> None:  # as lines are read that no mapping of the study wrote
        collection.ECHO, echo = ROWS, collection.ECHO
        read()
        collection.ECHO = echo

    def load() -> None:
        for line in lines:
            orjson.loads(line)

    writing, dumping, discarding = best(lambda: writer.write(batch), dump, throw_away)
    some = documents[:MODELS]
    (models,) = best(lambda: [Observation(**document).model_dump_json() for document in some], rounds=2)
    reading, elements, loading = best(read, read_elements, load)
    (parsing,) = best(lambda: [Observation.model_validate_json(line) for line in lines[:MODELS]], rounds=2)
    figures = {
        "engine writing / orjson.dumps": dumping / writing,
        "engine writing / orjson.dumps, output thrown away": discarding / writing,
        "engine writing / fhir.resources": models * ROWS / MODELS / writing,
        "engine reading / orjson.loads": loading / reading,
        "engine reading, element by element / orjson.loads": loading / elements,
        "engine reading / fhir.resources": parsing * ROWS / MODELS / reading,
    }
    return figures, dump, load


def cut(data: bytes, size: int = 1 << 21) -> Any:
    """Blocks of whole lines, as the commands read them."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", min(start + size, len(data) - 1)) + 1
        yield data[start:end], data.count(b"\n", start, end)
        start = end


def run(*arguments: str) -> Callable[[], None]:
    """A whole command as a process."""
    words = [sys.executable, "-m", "fhir_ivig", *arguments]
    return lambda: subprocess.run(words, check=True, capture_output=True, env=ENVIRONMENT) and None


def commands(here: Path, dump: Callable[[], Any], load: Callable[[], Any]) -> dict[str, float]:
    """The whole commands, start-up, files and all, against orjson alone on what is in memory."""
    write_study(here / "empty", 0)
    study, fhir, tables, empty = (str(here / name) for name in ("study", "fhir", "tables", "empty"))
    exporting, dumping, tabulating, loading, beginning = best(
        run("export", study, "--out", fhir),
        dump,
        run("tabulate", fhir, "--study", study, "--out", tables),
        load,
        run("export", empty, "--out", str(here / "empty-fhir")),
    )
    return {
        "export command / orjson.dumps": dumping / exporting,
        "tabulate command / orjson.loads": loading / tabulating,
        "export of one subject / export": beginning / exporting,
    }


def start_up() -> dict[str, float]:
    """What a person waits for before anything happens."""
    bare = [sys.executable, "-c", "pass"]
    helping, passing = best(run("--help"), lambda: subprocess.run(bare, check=True, env=ENVIRONMENT), rounds=15)
    return {"--help / python -c pass": helping / passing}


def memory(here: Path) -> dict[str, float]:
    """The peak memory of the commands for ten times the rows, over that for the rows."""
    write_study(here / "large", 10 * ROWS)
    peaks = {}
    for name in ("study", "large"):
        study, fhir, tables = str(here / name), str(here / f"{name}-fhir"), str(here / f"{name}-tables")
        peaks["export", name] = peak("export", study, "--out", fhir)
        peaks["tabulate", name] = peak("tabulate", fhir, "--study", study, "--out", tables)
    shown = {f"{command} {name}": f"{value // 1024} MiB" for (command, name), value in peaks.items()}
    print("peak memory:", json.dumps(shown))
    return {
        f"{command} memory, 10 x rows": peaks[command, "large"] / peaks[command, "study"]
        for command in ("export", "tabulate")
    }


def endpoints(here: Path) -> dict[str, float]:
    """A paired change of 50,000 subjects out of 1,000,000 assessments, against pandas that only reads the file."""
    write_study(here / "trial", ASSESSED, ASSESSED_SUBJECTS)
    with (here / "trial" / "study.yaml").open("a") as out:
        out.write(ENDPOINTS)
    code = "import pandas, sys; frame = pandas.read_csv(sys.argv[1])"
    pandas = [sys.executable, "-c", code, str(here / "trial" / "assessments.csv")]
    ours, theirs = best(
        run("endpoints", str(here / "trial")),
        lambda: subprocess.run(pandas, check=True, env=ENVIRONMENT),
    )
    return {
        "endpoints command / pandas.read_csv": ours / theirs,
        "endpoints memory / pandas.read_csv": peak("endpoints", str(here / "trial")) / peak_of(pandas),
    }


def peak(*arguments: str) -> int:
    """The most memory that a command held, in KiB."""
    return peak_of([sys.executable, "-m", "fhir_ivig", *arguments])


def peak_of(words: list[str]) -> int:
    """The most memory that a process held, in KiB."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    watched = [sys.executable, "-c", code, *words]
    return int(subprocess.run(watched, check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout)


def report(found: dict[str, float]) -> list[str]:
    """Print every figure beside its target; return the names of those that miss it."""
    missed = []
    for name, value in found.items():
        target, limit = TARGETS.get(name), LIMITS.get(name)
        asked = f"at least {target}" if target else f"at most {limit}" if limit else ""
        if (target and value < target) or (limit and value > limit):
            missed.append(name)
        print(f"{name:50s} {value:8.2f} x   {asked:14s} {'MISSED' if name in missed else ''}")
    return missed


if __name__ == "__main__":
    sys.exit(main())
