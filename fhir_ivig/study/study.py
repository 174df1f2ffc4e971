"""study.yaml: a study in one file.

| Key          | What it says                                                                            |
|--------------|-----------------------------------------------------------------------------------------|
| study        | the study's short name (required)                                                       |
| title        | its title (required)                                                                    |
| status       | how far it is: active, completed, in-review or withdrawn (required)                     |
| base         | what all identifiers that it writes begin with: an http(s) URL without a slash at its   |
|              | end, a `urn:oid:` or a `urn:uuid:` (required)                                           |
| fhir_version | R4, R4B or R5 (required)                                                                |
| parameters   | `name: text`, what mapping files may ask for                                            |
| mappings     | folders with further mapping files, relative to study.yaml                              |
| visits       | a list of `{visit, day, window: [from, to], several, baseline}`. Days count from the    |
|              | first day of the subject's first course, day 0. Windows do not overlap; without one, no |
|              | day belongs to it. `several` and `baseline` are for endpoints                           |
| measures     | `name: {label, unit, better, scale_max}`, what assessments measure: numbers where there |
|              | is a unit, else words. `better` is lower or higher; a scale goes from 0 to `scale_max`. |
|              | `tolerance` or `tolerance_percent`, and `tolerance_days`: how far `diff` lets be apart  |
|              | `sdtm: {domain, testcd}` where SDTM-shaped data sets are not to choose them             |
| tables       | `table: {...}`, how it is read: see `fhir_ivig.study.source`. What is not named is absent |
| tolerance_days | `table: days`: dates of that table are equal to `diff` when no more days are between  |
| core_set     | which measures are the core set of myositis; passed on as it stands                     |
| populations  | who is counted; passed on as it stands                                                  |
| endpoints    | what is asked; passed on as it stands                                                   |
| multiplicity | which of their p-values are adjusted together; passed on as it stands                   |
| references   | a list of `{text, doi}`: the papers that a report names                                  |
| dictionary   | further tables and columns, in the shape of `dictionary.yaml`                           |
| deidentify   | `columns: {table: {column: class}}` and `words`: see `fhir_ivig.study.classes`          |
| server       | the FHIR server that it is sent to and pulled from; passed on as it stands              |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from fhir_ivig.issue import IssueError
from fhir_ivig.shape import DECIMAL, Shape
from fhir_ivig.study.classes import classed
from fhir_ivig.study.declaration import read_sources
from fhir_ivig.study.dictionary import Table, dictionary, extend
from fhir_ivig.study.sdtm import NONE as NO_PLACE
from fhir_ivig.study.sdtm import Place, read_place
from fhir_ivig.study.source import Source
from fhir_ivig.study.tolerances import KEYS as TOLERANCES
from fhir_ivig.study.tolerances import NONE as NO_TOLERANCE
from fhir_ivig.study.tolerances import Tolerance, read_tolerance, read_tolerance_days
from fhir_ivig.yamltext import Node, load, plain

MEASURE = ("label", "unit", "better", "scale_max", "several", "sdtm", *TOLERANCES)
REQUIRED = ("study", "title", "status", "base", "fhir_version")
KEYS = (
    *REQUIRED, "parameters", "mappings", "visits", "measures", "tolerance_days", "core_set", "tables",
    "populations", "endpoints", "multiplicity", "references", "dictionary", "deidentify", "server",
)  # fmt: skip
BASE = (
    r"https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~%+:-]+)*"
    r"|urn:oid:[0-2](\.(0|[1-9][0-9]*))+"
    r"|urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
WORD = r"\S+( \S+)*"


@dataclass(frozen=True, slots=True)
class Visit:
    """A planned visit: its target day, and the first and last day on which an assessment belongs to it."""

    visit: str
    day: int
    window: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """What an assessment measures; `unit` and `scale_max` as text, None where there is none."""

    measure: str
    label: str
    unit: str | None = None
    better: str | None = None
    scale_max: str | None = None
    tolerance: Tolerance = NO_TOLERANCE
    sdtm: Place = NO_PLACE


@dataclass(frozen=True, slots=True)
class Study:
    """A study as its study.yaml says, with the tables of its dictionary."""

    path: Path
    study: str
    title: str
    status: str
    base: str
    fhir_version: str
    parameters: Mapping[str, str]
    mappings: tuple[Path, ...]
    visits: Mapping[str, Visit]
    measures: Mapping[str, Measure]
    tables: Mapping[str, tuple[Source, ...]]
    core_set: Mapping[str, Any]
    populations: Mapping[str, Any]
    endpoints: Mapping[str, Any]
    multiplicity: Mapping[str, Any]
    references: tuple[Mapping[str, str], ...]
    dictionary: Mapping[str, Table]
    server: Node | None = None
    tolerance_days: Mapping[str, int] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of its tables, each once."""
        parts = [part for parts in self.tables.values() for part in parts]
        beside = [part.path(self.folder).parent / part.supplement for part in parts if part.supplement]
        return tuple(dict.fromkeys([*(part.path(self.folder) for part in parts), *beside]))

    @classmethod
    def load(cls, path: Path | str, root: Node | None = None) -> Study:
        """The study in a study.yaml, or in a folder that has one (in its `root`, if that is read already).

        Raises IssueError with every problem in it, each with its line. Files of tables are
        not looked for here: `read_table` says which are missing.
        """
        path = path / "study.yaml" if (path := Path(path)).is_dir() else path
        shape = Shape(path.name)
        root = root or load(path)
        given = shape.fields(root, "study.yaml", KEYS, REQUIRED)
        empty = Node("mapping", {}, root.line)
        node = {key: given.get(key, empty) for key in KEYS}
        tables = classed(extend(dictionary(), node["dictionary"], shape), node["deidentify"], shape)
        measures = _measures(node["measures"], shape)
        statuses = tables["studies"].columns["status"].values
        found = cls(
            path=path,
            study=shape.match(given["study"], "study", WORD, "one short name") if "study" in given else "",
            title=shape.text(given["title"], "title") if "title" in given else "",
            status=shape.choice(given["status"], "status", statuses) if "status" in given else "",
            base=shape.match(given["base"], "base", BASE, _BASE_WANTED) if "base" in given else "",
            fhir_version=shape.choice(given["fhir_version"], "fhir_version", ("R4", "R4B", "R5"))
            if "fhir_version" in given
            else "",
            parameters=shape.pairs(node["parameters"], "parameters"),
            mappings=_folders(given["mappings"], path.parent, shape) if "mappings" in given else (),
            visits=_visits(given["visits"], shape) if "visits" in given else {},
            measures=measures,
            tables=read_sources(node["tables"], tables, {name: one.unit for name, one in measures.items()}, shape),
            core_set=_untouched(node["core_set"], "core_set", shape),
            populations=_untouched(node["populations"], "populations", shape),
            endpoints=_untouched(node["endpoints"], "endpoints", shape),
            multiplicity=_untouched(node["multiplicity"], "multiplicity", shape),
            references=_references(given["references"], shape) if "references" in given else (),
            dictionary=tables,
            server=given.get("server"),
            tolerance_days=read_tolerance_days(node["tolerance_days"], tables, shape),
        )
        if shape.issues:
            raise IssueError(*sorted(shape.issues, key=lambda issue: issue.row or 0))
        return found


_BASE_WANTED = "an http(s) URL without a slash at its end, a urn:oid: or a urn:uuid:"


def _folders(node: Node, folder: Path, shape: Shape) -> tuple[Path, ...]:
    folders = []
    for child in shape.items(node, "mappings"):
        found = folder / shape.text(child, "mappings")
        if not found.is_dir():
            shape.refuse(child, f"mappings: there is no folder `{child.value}` beside study.yaml.", "not-found")
        folders.append(found)
    return tuple(folders)


def _visits(node: Node, shape: Shape) -> dict[str, Visit]:
    visits: dict[str, Visit] = {}
    lines: dict[str, Node] = {}
    for child in shape.items(node, "visits"):
        given = shape.fields(child, "visits", ("visit", "day", "window", "several", "baseline"), ("visit", "day"))
        if "visit" not in given or "day" not in given:
            continue
        name = shape.match(given["visit"], "visit", WORD, "a name without blanks at its ends")
        if name in visits:
            shape.refuse(child, f"visits: `{name}` stands there already: keep one.", "duplicate")
        day = shape.integer(given["day"], f"visits.{name}.day")
        window = _window(name, given["window"], day, shape) if "window" in given else None
        visits[name], lines[name] = Visit(name, day, window), child
    windows = sorted((visit.window, visit.visit) for visit in visits.values() if visit.window)
    for (earlier, first), (later, second) in pairwise(windows):
        if later[0] <= earlier[1]:
            text = f"visits: the windows of `{first}` and `{second}` overlap: no day may belong to two visits."
            shape.refuse(lines[second], text, "business-rule")
    return visits


def _window(name: str, node: Node, day: int, shape: Shape) -> tuple[int, int] | None:
    days = [shape.integer(child, f"visits.{name}.window") for child in shape.items(node, f"visits.{name}.window")]
    if len(days) != 2 or not days[0] <= day <= days[1]:
        shape.refuse(node, f"visits.{name}.window: write [first day, last day], with the visit's day between.")
        return None
    return days[0], days[1]


def _measures(node: Node, shape: Shape) -> dict[str, Measure]:
    measures: dict[str, Measure] = {}
    for name, child in shape.mapping(node, "measures").items():
        where = f"measures.{name}"
        shape.match(Node("scalar", name, child.line), "measures", WORD, "a name without blanks at its ends")
        given = shape.fields(child, where, MEASURE, ("label",))
        if "scale_max" in given and "unit" not in given:
            shape.refuse(child, f"{where}: a scale needs a `unit`, such as score.", "required")
        measures[name] = Measure(
            name,
            shape.text(given["label"], f"{where}.label") if "label" in given else "",
            shape.match(given["unit"], f"{where}.unit", WORD, "a unit") if "unit" in given else None,
            shape.choice(given["better"], f"{where}.better", ("lower", "higher")) if "better" in given else None,
            shape.match(given["scale_max"], f"{where}.scale_max", DECIMAL, "a number") or None
            if "scale_max" in given
            else None,
            read_tolerance(given, where, shape),
            read_place(given, where, [one.sdtm for one in measures.values()], shape),
        )
    return measures


def _references(node: Node, shape: Shape) -> tuple[Mapping[str, str], ...]:
    """The papers behind the study: each its citation under `text`, and its `doi` where it has one."""
    found = []
    for child in shape.items(node, "references"):
        given = shape.fields(child, "references", ("text", "doi"), ("text",))
        found.append({key: shape.text(value, f"references: {key}") for key, value in given.items()})
    return tuple(found)


def _untouched(node: Node, name: str, shape: Shape) -> dict[str, Any]:
    return {key: plain(child) for key, child in shape.mapping(node, name).items()}
