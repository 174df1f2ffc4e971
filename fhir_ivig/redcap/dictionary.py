"""REDCap's data dictionary: which fields a project has, on which form, and what may stand in them.

The file is the one that REDCap offers under Data Dictionary, or what its API gives for `content=metadata` as CSV: the
same columns under other names. Terms are REDCap's: field, form (instrument), choices, validation, event, instance.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fhir_ivig.issue import Issue, IssueError
from fhir_ivig.redcap.rows import read_rows, uneven

COLUMNS = {  # of the file from the page, and from the API
    "Variable / Field Name": "field_name",
    "Form Name": "form_name",
    "Section Header": "section_header",
    "Field Type": "field_type",
    "Field Label": "field_label",
    "Choices, Calculations, OR Slider Labels": "select_choices_or_calculations",
    "Field Note": "field_note",
    "Text Validation Type OR Show Slider Number": "text_validation_type_or_show_slider_number",
    "Text Validation Min": "text_validation_min",
    "Text Validation Max": "text_validation_max",
    "Identifier?": "identifier",
    "Branching Logic (Show field only if...)": "branching_logic",
    "Required Field?": "required_field",
    "Custom Alignment": "custom_alignment",
    "Question Number (surveys only)": "question_number",
    "Matrix Group Name": "matrix_group_name",
    "Matrix Ranking?": "matrix_ranking",
    "Field Annotation": "field_annotation",
}
_NEEDED = ("field_name", "form_name", "field_type", "field_label", "select_choices_or_calculations")
KINDS = (
    "text", "notes", "radio", "dropdown", "checkbox", "yesno", "truefalse", "calc", "slider", "file", "descriptive",
    "sql",
)  # fmt: skip
_CHOSEN = ("radio", "dropdown", "checkbox")
_FIXED = {"yesno": {"1": "Yes", "0": "No"}, "truefalse": {"1": "True", "0": "False"}}


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its kind in REDCap's words, its choices as code to label, its row in the file.

    `least` and `most` are the ends of its validation, empty where there is none.
    """

    name: str
    form: str
    kind: str
    label: str
    choices: Mapping[str, str]
    validation: str
    least: str
    most: str
    note: str
    identifier: bool
    annotation: str
    row: int

    @property
    def computed(self) -> bool:
        """Whether REDCap computes or only shows it, or keeps a file: no import fills it."""
        return self.kind in ("calc", "file", "descriptive") or bool(re.search("@CALC(TEXT|DATE)", self.annotation))

    @property
    def columns(self) -> dict[str, str]:
        """Its columns in an export with raw headers, each with the choice that it ticks; none for what is only shown.

        Of a checkbox each choice is a column, `field___code`.
        """
        if self.kind == "checkbox":
            return {box(self.name, code): code for code in self.choices}
        return {} if self.kind == "descriptive" else {self.name: ""}


def box(name: str, code: str) -> str:
    """The column of one choice of a checkbox: in lower case, `_` for `-` and `.`, other signs left out."""
    return f"{name}___{re.sub('[^a-z0-9_]', '', re.sub('[-.]', '_', code.lower()))}"


@dataclass(frozen=True, slots=True)
class Dictionary:
    """A project's fields by name, in order; the first holds the record's name."""

    file: str
    fields: Mapping[str, Field]

    @property
    def record(self) -> Field:
        return next(iter(self.fields.values()))

    @property
    def forms(self) -> dict[str, list[Field]]:
        """Form -> its fields, in order."""
        found: dict[str, list[Field]] = {}
        for field in self.fields.values():
            found.setdefault(field.form, []).append(field)
        return found


def read_dictionary(path: Path) -> Dictionary:
    """The data dictionary in a CSV file; IssueError with every problem, each with its row and column."""
    return from_rows(read_rows(path)[0], path.name)


def from_rows(rows: Sequence[Sequence[str]], file: str) -> Dictionary:
    """The data dictionary of rows of cells, the header first."""
    header = [COLUMNS.get(name.strip(), name.strip()) for name in rows[0]] if rows else []
    if missing := [name for name in _NEEDED if name not in header]:
        theirs = {ours: name for name, ours in COLUMNS.items()}
        text = "This is no data dictionary of REDCap: it has no column"
        raise IssueError(
            *(Issue("fatal", "structure", f"{text} `{theirs[name]}`.", file, 1, theirs[name]) for name in missing)
        )
    issues = list(uneven(rows, file))
    fields: dict[str, Field] = {}
    for number, cells in enumerate(rows[1:], 2):
        row = dict(zip(header, cells, strict=False))
        if not any(cells) or len(cells) != len(header):
            continue
        field, said = _field(row, number, file)
        issues += said
        if field.name in fields:
            text = f"`{field.name}` stands already in row {fields[field.name].row}: keep one."
            issues.append(Issue("error", "duplicate", text, file, number, "Variable / Field Name"))
        fields.setdefault(field.name, field)
    if not fields:
        issues.append(Issue("error", "required", "There is no field in it.", file))
    if issues:
        raise IssueError(*issues)
    return Dictionary(file, fields)


def _field(row: Mapping[str, str], number: int, file: str) -> tuple[Field, list[Issue]]:
    issues = []
    name, kind = row["field_name"].strip(), row["field_type"].strip().lower()
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        text = f"`{name}` is no name of a field: small letters, digits and underscores, a letter first."
        issues.append(Issue("error", "value", text, file, number, "Variable / Field Name"))
    if kind not in KINDS:
        text = f"`{kind}` is no field type of REDCap. Known are: {', '.join(KINDS)}."
        issues.append(Issue("error", "code-invalid", text, file, number, "Field Type"))
    choices: dict[str, str] = dict(_FIXED.get(kind, {}))
    if kind in _CHOSEN:
        pairs = list(_pairs(row["select_choices_or_calculations"]))
        choices = dict(pairs)
        column = "Choices, Calculations, OR Slider Labels"
        for wrong in [code for code, label in pairs if not code or label is None]:
            text = f"{name}: `{wrong}` is no choice: write `1, Yes | 0, No`."
            issues.append(Issue("error", "structure", text, file, number, column))
        for code, times in Counter(code for code, _ in pairs).items():
            if times > 1:
                text = f"{name}: the code `{code}` stands for {times} choices: keep one."
                issues.append(Issue("error", "duplicate", text, file, number, column))
        if not pairs:
            issues.append(Issue("error", "required", f"{name} has no choices.", file, number, column))
    field = Field(
        name=name,
        form=re.sub("[^a-z0-9_]+", "_", row["form_name"].strip().lower()),
        kind=kind,
        label=words(row["field_label"]),
        choices=choices,
        validation=row.get("text_validation_type_or_show_slider_number", "").strip() if kind == "text" else "",
        least=row.get("text_validation_min", "").strip(),
        most=row.get("text_validation_max", "").strip(),
        note=words(row.get("field_note", "")),
        identifier=row.get("identifier", "").strip().lower() == "y",
        annotation=row.get("field_annotation", ""),
        row=number,
    )
    return field, issues


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Code and label of each choice: `1, Yes | 0, No`, on one line or on several."""
    for choice in re.split(r"[|\n]", text):
        if choice.strip():
            code, comma, label = choice.partition(",")
            yield (code.strip(), words(label)) if comma else ("", choice.strip())


def words(text: str) -> str:
    """A label without the HTML in it, on one line; `<5 or >10` is none."""
    return " ".join(html.unescape(re.sub(r"</?[A-Za-z][^<>]*>", " ", text)).split())
