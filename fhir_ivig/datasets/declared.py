"""The declarations of SDTM-shaped and ADaM-shaped data sets: sdtm.yaml and adam.yaml, read as they stand.

A declaration makes one data set for each of its `names` (name: label), `--` standing for the name, in ADaM for its
last two letters.

| Key         | What it says                                                                            |
|-------------|-----------------------------------------------------------------------------------------|
| `table`     | the study's table, or what `rows` of analysis.py makes, whose rows are the data set's   |
| `where`     | column: words; only these rows                                                          |
| `measures`  | yes: only rows of the measures that stand in this domain (domains.py)                   |
| `structure`, `keys`, `order` | what a row is; the variables that name it; the columns that rows are ordered by |
| `blocks`, `variables` | blocks of variables, then further ones, in their order                        |

A variable has a `label` (or `labels`, by the data set's name), may have a `kind`, `length`, `note`, `codes` (ours:
theirs) with their `codelist`, `only` (the data set that has it), and one of FORMS, where its cells come from:

| Form        | The cell                                                                                |
|-------------|-----------------------------------------------------------------------------------------|
| `column`    | the column's, or several columns' put together if the last is filled                    |
| `number`    | the column's, where it is a number and no sign stands before it                         |
| `has`       | Y where the word is among those of `column`                                             |
| `lookup`    | `table.column` of a table with one row a subject                                        |
| `about`     | what is known of the subject (subjects.py)                                              |
| `study`     | what study.yaml says                                                                    |
| `text`      | that text; with `when`, only where that variable is filled                              |
| `usubjid`, `sequence` | study and subject; the number of the row, from 1 for each subject             |
| `day`       | the study day of another variable (subjects.py)                                         |
| `visit`     | `number` or `day`, of the row's visit                                                   |
| `measure`   | `testcd`, `label` or `parameter`, of the row's measure                                  |
| `of`        | `DATASET.VARIABLE`, that subject's                                                      |
| `population`| Y or N, whether the subject is in a population of study.yaml                            |
| `like`      | as that variable of SDTM, `DATASET.VARIABLE`, from the same column                      |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from fhir_ivig.datasets.dataset import Variable
from fhir_ivig.yamltext import load, plain

FORMS = (
    "column", "number", "lookup", "about", "study", "text", "usubjid", "sequence", "day", "visit", "measure", "of",
    "population",
)  # fmt: skip
# What Define-XML calls the origin of a variable, by the form of its cells.
_COLLECTED, _DERIVED, _ASSIGNED, _PROTOCOL, _COPIED = "Collected", "Derived", "Assigned", "Protocol", "Predecessor"
_ORIGINS = {
    **dict.fromkeys(("column", "number", "lookup"), _COLLECTED),
    **dict.fromkeys(("about", "sequence", "day", "population"), _DERIVED),
    **dict.fromkeys(("text", "usubjid", "measure"), _ASSIGNED),
    **dict.fromkeys(("study", "visit"), _PROTOCOL),
    "of": _COPIED,
}
_HOMES = {"analysis": "assessments", "events": "adverse_events"}  # the tables that those rows of analysis.py are of


@dataclass(frozen=True, slots=True)
class Declared:
    """A variable, the form of its cells, what stands under the form, and what besides it takes to fill them."""

    variable: Variable
    form: str
    given: Any
    codes: Mapping[str, str]
    has: str | None = None
    when: str | None = None


@dataclass(frozen=True, slots=True)
class Declaration:
    """A data set as declared."""

    name: str
    label: str
    structure: str
    table: str
    where: Mapping[str, Sequence[str]]
    measures: bool
    order: Sequence[str]
    keys: tuple[str, ...]
    variables: tuple[Declared, ...]

    @property
    def home(self) -> str:
        """The study's table that its rows are of."""
        return _HOMES.get(self.table, self.table)

    @property
    def domain(self) -> str:
        """The two letters of its domain."""
        return self.name[-2:]


@cache
def declarations(standard: str) -> tuple[Declaration, ...]:
    """The data sets of `sdtm` or `adam`, in their order."""
    root = _root(standard)
    return tuple(
        _declaration(entry, name, label, root["blocks"])
        for entry in root["datasets"]
        for name, label in entry["names"].items()
    )


def absent(standard: str) -> tuple[str, ...]:
    """What the standard has and these data sets have not, in sentences."""
    return tuple(_root(standard)["absent"])


@cache
def _root(standard: str) -> dict[str, Any]:
    text = files("fhir_ivig.datasets").joinpath(f"{standard}.yaml").read_text("utf-8")
    root: dict[str, Any] = plain(load(text, f"{standard}.yaml"))
    return root


def _declaration(entry: Mapping[str, Any], name: str, label: str, blocks: Mapping[str, Any]) -> Declaration:
    known: dict[str, Any] = {}
    for block in (*(blocks[block] for block in entry.get("blocks", ())), entry.get("variables", {})):
        known |= block
    return Declaration(
        name=name,
        label=label,
        structure=entry["structure"],
        table=entry["table"],
        where=entry.get("where", {}),
        measures=entry.get("measures") == "yes",
        order=entry["order"],
        keys=tuple(_of(name, key) for key in entry["keys"]),
        variables=tuple(_variables(known, name, entry["table"])),
    )


def _of(name: str, text: str) -> str:
    return text.replace("--", name[-2:])


def _variables(known: Mapping[str, Any], name: str, table: str) -> Iterator[Declared]:
    for key, said in known.items():
        if said.get("only", name) != name:
            continue
        if "like" in said:
            said = {**_like(said["like"]), **{word: text for word, text in said.items() if word != "like"}}
        said = {word: _of(name, text) if isinstance(text, str) else text for word, text in said.items()}
        said["label"] = said.get("labels", {}).get(name) or said["label"]
        yield _declared(_of(name, key), said, table)


def _like(place: str) -> dict[str, Any]:
    """What is said of a variable that is one of SDTM."""
    dataset, _, variable = place.partition(".")
    found: dict[str, Any] = next(
        entry["variables"][variable] for entry in _root("sdtm")["datasets"] if dataset in entry["names"]
    )
    return {**found, "origin": f"{_COPIED}: {place}"}


def _declared(name: str, said: Mapping[str, Any], table: str) -> Declared:
    [form] = said.keys() & set(FORMS)
    codes = said.get("codes", {})
    note = [said["note"]] if "note" in said else []
    if "codelist" in said:
        note.append(
            "Sponsor-defined words" if said["codelist"] == "sponsor-defined" else f"Words of {said['codelist']}"
        )
    variable = Variable(
        name,
        said["label"],
        said.get("kind", "text"),
        int(said["length"]) if "length" in said else None,
        said.get("origin") or _origin(form, said[form], table),
        ("Y",) if "has" in said else ("Y", "N") if form == "population" else tuple(codes.values()),
        ". ".join(note) + "." if note else "",
    )
    return Declared(variable, form, said[form], codes, said.get("has"), said.get("when"))


def _origin(form: str, given: Any, table: str) -> str:
    table = _HOMES.get(table, table)
    columns = given if isinstance(given, list) else [given]
    where = {
        "column": ", ".join(f"{table}.{column}" for column in columns),
        "number": f"{table}.{given}",
        "lookup": given,
        "of": given,
        "day": f"from {given}",
        "about": str(given).replace("_", " "),
    }.get(form, "")
    return f"{_ORIGINS[form]}: {where}" if where else _ORIGINS[form]
