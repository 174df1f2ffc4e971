"""A trial's endpoints from a study's folder: computed, traced to each value, checked beforehand, written to files."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhir_ivig.issue import Issue, IssueError, failed
from fhir_ivig.library import Given, read_given

if TYPE_CHECKING:
    from fhir_ivig.endpoints.result import Result
    from fhir_ivig.endpoints.trace import Used
    from fhir_ivig.study.study import Study


@dataclass(frozen=True, slots=True)
class Answers:
    """The results of a study's endpoints, every Issue met, and the folder that they are from."""

    results: list[Result]
    issues: list[Issue]
    given: Given


def answer(tables: Path | str, study: Path | str | None = None, *, incomplete: bool = False) -> Answers:
    """As `compute_endpoints`, with the folder as it was read."""
    from fhir_ivig.endpoints.compute import compute

    given = read_given(tables, study, incomplete)
    results, issues = compute(given.study, given.tables, given.resources, given.numbers)
    return Answers(results, [*given.issues, *issues], given)


def trace_endpoint(
    tables: Path | str, endpoint: str, study: Path | str | None = None, *, incomplete: bool = False
) -> tuple[list[Used], list[Issue]]:
    """Every value that an endpoint (or a family of multiplicity) read, with its row and resource, of the version that
    was pulled where the server said one; IssueError as `compute_endpoints`."""
    from fhir_ivig.endpoints.trace import trace

    given = read_given(tables, study, incomplete)
    found, issues = trace(given.study, given.tables, given.resources, given.numbers, endpoint)
    known = _versions(given.folder, {ref for used in found for ref in (used.resource or "").split(";")})
    versioned = [
        replace(used, resource=";".join(known.get(ref, ref) for ref in used.resource.split(";")))
        if used.resource
        else used
        for used in found
    ]
    return versioned, [*given.issues, *issues]


def _versions(folder: Path, wanted: Collection[str]) -> dict[str, str]:
    """`Type/id/_history/version` of those references whose resource, as it was pulled, says its version."""
    from fhir_ivig.fhir.bundle import head
    from fhir_ivig.fhir.compare import version

    found: dict[str, str] = {}
    for file in sorted((folder / "fhir").glob("*.ndjson")):
        with file.open("rb") as lines:
            for line in lines:
                reference = head(line).ref
                if reference in wanted and (said := version(line)):
                    found[reference] = f"{reference}/_history/{said}"
    return found


def check_endpoints(study: Study) -> list[Issue]:
    """What is wrong with `populations` and `endpoints` of a study.yaml, as far as it can be told without its tables:
    they are asked of tables without a row."""
    import pyarrow as pa

    from fhir_ivig.endpoints.faults import faults
    from fhir_ivig.yamltext import load, plain

    columns = {name: study.dictionary[name].columns for name in study.tables}
    tables = {
        name: pa.table({column: pa.array([], pa.string()) for column in known}) for name, known in columns.items()
    }
    words = {
        (name, column): frozenset(said.values)
        for name, known in columns.items()
        for column, said in known.items()
        if said.values and said.type == "code"
    }
    words |= {
        ("assessments", "visit"): frozenset(study.visits),
        ("assessments", "measure"): frozenset(study.measures),
    }
    return faults(plain(load(study.path)), tables, words)


def write_records(records: Sequence[dict[str, Any]], out: Path) -> None:
    """The records as a CSV file (lists joined by `; `, empty for what is not known; see `to_csv`) or a JSON file, by
    the suffix; for their owner only."""
    from fhir_ivig.report.sheet import to_csv
    from fhir_ivig.sync.whole import write_private

    if out.suffix not in (".csv", ".json"):
        raise IssueError(Issue("fatal", "not-supported", "Write a file that ends in .csv or .json.", str(out)))
    if out.suffix == ".json":
        text = json.dumps(records, ensure_ascii=False, indent=2) + "\n"
    else:
        text = to_csv(records[0] if records else (), (map(_cell, record.values()) for record in records))
    write_private(out, text)


def _cell(value: Any) -> str:
    return "" if value is None else "; ".join(value) if isinstance(value, list) else str(value)


def write_fhir(found: Answers, out: Path) -> int:
    """The results as FHIR in a folder: Measure.ndjson and MeasureReport.ndjson. Out: how many resources."""
    import msgspec

    from fhir_ivig.endpoints.measure_report import to_fhir
    from fhir_ivig.sync.whole import whole_folder, write_manifest

    study = found.given.study
    encoder = msgspec.json.Encoder(decimal_format="number")
    lines: dict[str, list[bytes]] = {"Measure": [], "MeasureReport": []}
    known = _versions(found.given.folder, {ref for one in found.results for ref in one.resources})
    results = [replace(one, resources=tuple(known.get(ref, ref) for ref in one.resources)) for one in found.results]
    for resource in to_fhir(results, study["base"], study["fhir_version"], _period(found.given)):
        lines[resource["resourceType"]].append(encoder.encode(resource) + b"\n")
    with whole_folder(out, found.given.files) as folder:
        for name, some in lines.items():
            (folder / f"{name}.ndjson").write_bytes(b"".join(some))
        said = {
            "complete": not failed(found.issues),
            "resources": {name: len(some) for name, some in lines.items()},
            "issues": [issue.as_dict() for issue in found.issues],
        }
        write_manifest(folder, said)
    return sum(map(len, lines.values()))


def _period(given: Given) -> tuple[str, str] | None:
    """The first and the last day of any value, infusion or event."""
    import pyarrow.compute as pc

    ends: list[str] = []
    for table, column in (("assessments", "date"), ("infusions", "start"), ("adverse_events", "onset")):
        if table in given.tables and column in given.tables[table].column_names:
            found = pc.min_max(pc.utf8_slice_codeunits(given.tables[table][column], 0, 10)).as_py()
            ends += [text for text in found.values() if text]
    return (min(ends), max(ends)) if ends else None


def as_records(found: Iterable[Result | Used]) -> list[dict[str, Any]]:
    """Results, or traced values, as plain JSON values."""
    from fhir_ivig.endpoints import result, trace

    return [trace.as_dict(one) if isinstance(one, trace.Used) else result.as_dict(one) for one in found]
