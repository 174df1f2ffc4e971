"""The cells of declared data sets out of a study's tables (declared.py says what the forms mean)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from fhir_ivig.datasets.dataset import Dataset, Made, Variable
from fhir_ivig.datasets.declared import Declaration, Declared
from fhir_ivig.datasets.domains import CDISC, Test
from fhir_ivig.datasets.subjects import About, planned_day, study_day
from fhir_ivig.endpoints.definition import Definition
from fhir_ivig.issue import Issue, many
from fhir_ivig.shape import DECIMAL
from fhir_ivig.study.study import Study
from fhir_ivig.study.texts import strings

Texts = list[str | None]
RESOURCE = "resource"  # the column of rows that names the resources behind them


@dataclass(slots=True)
class Ground:
    """What data sets are made of: a study, its tables with the resources behind their rows (`a;b` where several), its
    measures as tests, what is known of its subjects, its populations; `made` are the cells of data sets made before,
    by name, variable and subject."""

    study: Study
    tables: dict[str, dict[str, Texts]]
    tests: Mapping[str, Test]
    about: About
    definition: Definition
    made: dict[str, dict[str, dict[str, str | None]]] = field(default_factory=dict)

    def usubjid(self, subject: str | None) -> str | None:
        """The subject's identifier beyond the study."""
        return None if subject is None else f"{self.study.study}-{subject}"


def make(ground: Ground, declaration: Declaration) -> Made | None:
    """The data set; None where the study has not the table, or no measure of the domain."""
    import pyarrow as pa

    table = ground.tables.get(declaration.table)
    if table is None:
        return None
    tests = {name for name, test in ground.tests.items() if test.domain == declaration.domain}
    if declaration.measures and not tests:
        return None
    where = {column: set(words) for column, words in declaration.where.items()}
    if declaration.measures:
        where["measure"] = tests
    places = [
        place
        for place in range(len(table["subject"]))
        if all(table[column][place] in words for column, words in where.items())
    ]
    issues = _left_out(declaration, len(table["subject"]) - len(places))
    places.sort(key=lambda place: [table[column][place] or "" for column in declaration.order])
    rows = Rows(ground, declaration, {name: [cells[place] for place in places] for name, cells in table.items()})
    cells = {declared.variable.name: rows.variable(declared.variable.name) for declared in declaration.variables}
    made = pa.table({name: strings(texts) for name, texts in cells.items()})
    if declaration.keys[-1] == "USUBJID":
        known = {name: dict(zip(rows.subjects, texts, strict=True)) for name, texts in cells.items()}
        ground.made[declaration.name] = known
    variables = tuple(_described(ground, declaration, declared) for declared in declaration.variables)
    dataset = Dataset(declaration.name, declaration.label, variables, made, declaration.keys, tuple(issues))
    behind = rows.cells.get(RESOURCE)
    return Made(dataset, declaration.structure, strings(behind) if behind and any(behind) else None)


def _described(ground: Ground, declaration: Declaration, declared: Declared) -> Variable:
    """The variable; of test codes with those that there are, and which of them are CDISC's."""
    if (declared.form, declared.given) != ("measure", "testcd"):
        return declared.variable
    codes = tuple(test.testcd for test in ground.tests.values() if test.domain == declaration.domain)
    known = CDISC.get(declaration.domain, ())
    ours = ", ".join(code for code in codes if code not in known)
    said = f"Sponsor-defined: {ours}." if ours else "CDISC submission values."
    return replace(declared.variable, codes=codes, note=said)


def _left_out(declaration: Declaration, count: int) -> list[Issue]:
    """What is said of rows that the data set is not about; measures stand in another one."""
    if declaration.measures or not count:
        return []
    words = "; ".join(f"{column} {' or '.join(words)}" for column, words in declaration.where.items())
    what = f"{many(count, 'row')} of {declaration.table} {'is' if count == 1 else 'are'}"
    said = f"{what} not in it: it has those with {words}."
    return [Issue("information", "informational", said, declaration.name)]


class Rows:
    """The rows of a data set in the making."""

    def __init__(self, ground: Ground, declaration: Declaration, cells: dict[str, Texts]) -> None:
        self.ground, self.declaration, self.cells = ground, declaration, cells
        self.subjects = [subject or "" for subject in cells["subject"]]
        self.declared = {declared.variable.name: declared for declared in declaration.variables}
        self.known: dict[str, Texts] = {}

    def variable(self, name: str) -> Texts:
        """The cells of a variable."""
        if name not in self.known:
            declared = self.declared[name]
            texts = _FORMS[declared.form](self, declared)
            if declared.codes:
                texts = [None if text is None else declared.codes[text] for text in texts]
            self.known[name] = texts
        return self.known[name]


def _column(rows: Rows, declared: Declared) -> Texts:
    if declared.has:
        cells = rows.cells[declared.given]
        return ["Y" if declared.has in (cell or "").split(";") else None for cell in cells]
    if isinstance(declared.given, str):
        return rows.cells[declared.given]
    every: Sequence[Texts] = [rows.cells[column] for column in declared.given]
    return ["".join(filter(None, cells)) if cells[-1] else None for cells in zip(*every, strict=True)]


def _number(rows: Rows, declared: Declared) -> Texts:
    signs, cells = rows.cells["sign"], rows.cells[declared.given]
    return [
        cell if cell and sign is None and re.fullmatch(DECIMAL, cell) else None
        for sign, cell in zip(signs, cells, strict=True)
    ]


def _lookup(rows: Rows, declared: Declared) -> Texts:
    table, _, column = declared.given.partition(".")
    found = rows.ground.tables.get(table, {"subject": [], column: []})
    known = dict(zip(found["subject"], found[column], strict=True))
    return [known.get(subject) for subject in rows.subjects]


def _about(rows: Rows, declared: Declared) -> Texts:
    known = rows.ground.about[declared.given]
    return [known.get(subject) for subject in rows.subjects]


def _study(rows: Rows, declared: Declared) -> Texts:
    return [str(getattr(rows.ground.study, declared.given))] * len(rows.subjects)


def _text(rows: Rows, declared: Declared) -> Texts:
    if declared.when is None:
        return [declared.given] * len(rows.subjects)
    return [None if cell is None else declared.given for cell in rows.variable(declared.when)]


def _usubjid(rows: Rows, declared: Declared) -> Texts:
    return [rows.ground.usubjid(subject) for subject in rows.cells[declared.given]]


def _sequence(rows: Rows, declared: Declared) -> Texts:
    counts: dict[str | None, int] = {}
    found: Texts = []
    for one in rows.variable(declared.given):
        counts[one] = counts.get(one, 0) + 1
        found.append(str(counts[one]))
    return found


def _day(rows: Rows, declared: Declared) -> Texts:
    starts = {one: date.fromisoformat(day) for one, day in rows.ground.about["first_day"].items()}
    dates = rows.variable(declared.given)
    return [_digits(study_day(text, starts.get(one))) for text, one in zip(dates, rows.subjects, strict=True)]


def _visit(rows: Rows, declared: Declared) -> Texts:
    visits = rows.ground.study.visits
    numbers = {name: number for number, name in enumerate(visits, 1)}
    known = numbers if declared.given == "number" else {name: planned_day(one.day) for name, one in visits.items()}
    return [_digits(known.get(visit or "")) for visit in rows.cells["visit"]]


def _measure(rows: Rows, declared: Declared) -> Texts:
    return [getattr(rows.ground.tests[measure or ""], declared.given) for measure in rows.cells["measure"]]


def _of(rows: Rows, declared: Declared) -> Texts:
    dataset, _, variable = declared.given.partition(".")
    known = rows.ground.made.get(dataset, {}).get(variable, {})
    return [known.get(subject) for subject in rows.subjects]


def _population(rows: Rows, declared: Declared) -> Texts:
    found = rows.ground.definition.populations[declared.given].subjects
    return ["Y" if subject in found else "N" for subject in rows.subjects]


def _digits(number: int | None) -> str | None:
    return None if number is None else str(number)


_FORMS: dict[str, Callable[[Rows, Declared], Texts]] = {
    "column": _column,
    "number": _number,
    "lookup": _lookup,
    "about": _about,
    "study": _study,
    "text": _text,
    "usubjid": _usubjid,
    "sequence": _sequence,
    "day": _day,
    "visit": _visit,
    "measure": _measure,
    "of": _of,
    "population": _population,
}
