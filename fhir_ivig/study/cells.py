"""The cells of one column: their words made ours, and each checked against its type.

Everything works on the distinct values of a block, so a column of 20,000 cells costs what its few words cost. One
regular expression says that a value is right; only for one that is not does Python look for the reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fhir_ivig.issue import Code
from fhir_ivig.shape import DECIMAL, INTEGER
from fhir_ivig.study.dictionary import Column
from fhir_ivig.study.source import Source
from fhir_ivig.study.texts import matches, shown, strings, with_point

# Row (position in the block), column, code and text of a problem.
Flaw = tuple[int, str, Code, str]

_SIGN = r"[^\s\p{Z}\p{Cc}\p{Cf}\x{fffd}]"  # no blank, control, invisible or unreadable character
_WORD = f"{_SIGN}+( {_SIGN}+)*"
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}\x{fffd}]"
# Dates and times as FHIR writes them: https://hl7.org/fhir/R4/datatypes.html#dateTime
_DATE = r"([0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?"
_CLOCK = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_ZONE = r"(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_GRAMMAR = {
    "code": _WORD,
    "codes": _WORD,
    "date": _DATE,
    "dateTime": f"{_DATE}|{_CLOCK}{_ZONE}",
    "decimal": DECIMAL,
    "integer": INTEGER,
    "boolean": "yes|no",
}
_WANTED = {
    "code": "is no word: take out blanks at its ends, doubled blanks and characters that cannot be seen",
    "date": "is no date: write 2003, 2003-05 or 2003-05-17",
    "dateTime": "is no date: write 2003, 2003-05 or 2003-05-17, or with time and zone 2003-05-17T09:30:00+09:00",
    "decimal": "is no number: write it like 612.60, without signs between the thousands",
    "integer": "is no whole number",
    "boolean": "is neither yes nor no: name their words under `codes`",
}
_ORDERED = {  # how day, month and year stand, before a time or none, and where they go
    "DMY": (r"^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})($|[T ])", r"\3-\2-\1\4"),
    "MDY": (r"^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})($|[T ])", r"\3-\1-\2\4"),
    "YMD": (r"^(\d{4})[/.-](\d{1,2})[/.-](\d{1,2})($|[T ])", r"\1-\2-\3\4"),
}
_WITHOUT_ZONE = r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)$"
_WITHOUT_SECONDS = r"^(\d{4}-\d\d-\d\dT\d\d:\d\d)(Z|[+-]\d\d:\d\d)$"


def settle(column: Column, cells: pa.Array, source: Source) -> tuple[pa.StringArray, list[Flaw]]:
    """A block of a column as its file has it (string or binary, null = empty), in the study's words and checked.

    Out: as many texts (null = empty), and the Flaws of the wrong ones.
    """
    if cells.null_count == len(cells):
        return pa.nulls(len(cells), pa.string()), []
    as_is = not source.missing and column.name not in (*source.codes, *source.prefixes)
    if column.type == "text" and as_is and _plain(cells):
        return cells.view(pa.string()), []
    encoded = cells.dictionary_encode()
    given = _decoded(encoded.dictionary)
    ours = _translated(column, given, source)
    right = _right(column, ours)
    prefix = source.prefixes.get(column.name, "")
    if prefix:
        begins = pc.or_(pc.starts_with(given, prefix), ours.is_null())
        right = right & begins.to_numpy(zero_copy_only=False)
    flaws: list[Flaw] = []
    if not right.all():
        place = encoded.indices.fill_null(len(right)).to_numpy()
        for row in np.flatnonzero(np.append(~right, False)[place]).tolist():
            cell, text = given[place[row]].as_py(), ours[place[row]].as_py()
            lacks = prefix and not cell.startswith(prefix)
            why: tuple[Code, str] = ("value", f"{shown(cell)} does not begin with {shown(prefix)}.")
            flaws.append((row, column.name, *(why if lacks else _why(column, text, cell, source))))
    if ours is given and not flaws:
        return cells.view(pa.string()), []
    return ours.take(encoded.indices), flaws


def _plain(cells: pa.Array) -> bool:
    """Whether all that the cells hold is printable ASCII without blanks."""
    ends = np.frombuffer(cells.buffers()[1], np.int32)
    octets = np.frombuffer(cells.buffers()[2], np.uint8)[ends[cells.offset] : ends[cells.offset + len(cells)]]
    return bool(octets.min(initial=ord("!")) >= ord("!") and octets.max(initial=ord("!")) <= ord("~"))


def _decoded(distinct: pa.Array) -> pa.StringArray:
    try:
        return distinct.cast(pa.string())
    except pa.ArrowInvalid:
        return strings(text.decode("utf-8", "replace") for text in distinct.to_pylist())


def _translated(column: Column, given: pa.StringArray, source: Source) -> pa.StringArray:
    """`given` itself where nothing changes."""
    ours = given
    if source.missing:
        ours = pc.if_else(pc.is_in(ours, strings(source.missing)), None, ours)
    if prefix := source.prefixes.get(column.name):
        ours = strings(text and text.removeprefix(prefix) for text in ours.to_pylist())
    if codes := source.codes.get(column.name):
        ours = strings(_recoded(text, codes, column.type == "codes") for text in ours.to_pylist())
    if source.decimal == "," and column.type == "decimal":
        ours = with_point(ours)
    if source.order and column.type in ("date", "dateTime"):
        pattern, order = _ORDERED[source.order]
        pattern = pattern.replace("/.-", source.date_separator or "/.-")
        iso = pc.replace_substring_regex(ours, pattern, order)
        iso = pc.replace_substring_regex(iso, r"^(\d{4}-)(\d-)", r"\10\2")
        iso = pc.replace_substring_regex(iso, r"^(\d{4}-\d\d-)(\d)($|[T ])", r"\10\2\3")
        ours = pc.if_else(pc.match_substring_regex(ours, pattern), iso, ours)
    if source.zone and column.type == "dateTime":
        ours = pc.replace_substring_regex(ours, _WITHOUT_ZONE, rf"\1T\2{source.zone}")
        ours = pc.replace_substring_regex(ours, _WITHOUT_SECONDS, r"\1:00\2")
    return ours


def _recoded(text: str | None, codes: Mapping[str, str], several: bool) -> str | None:
    if text is None or (text not in codes and not several):
        return text
    return codes.get(text, ";".join(codes.get(part, part) for part in text.split(";"))) or None


def _right(column: Column, texts: pa.StringArray) -> np.ndarray:
    if column.type == "text":
        right = pc.invert(pc.match_substring_regex(texts, rf"{_CONTROL}|^[\s\p{{Z}}]*$"))
    elif column.type == "codes" and column.values:
        word = "|".join(map(re.escape, column.values))
        right = matches(texts, f"({word})(;({word}))*")
    elif column.values:
        right = pc.is_in(texts, strings(column.values))
    else:
        right = matches(texts, _GRAMMAR[column.type])
    if column.type in ("date", "dateTime"):
        days = pc.utf8_slice_codeunits(texts, 0, 10)
        whole = pc.equal(pc.binary_length(days), 10)
        right = pc.and_(right, pc.or_(pc.invert(whole), _real(days)))
    known: np.ndarray = pc.or_(pc.fill_null(right, True), texts.is_null()).to_numpy(zero_copy_only=False)
    return known


def _real(days: pa.StringArray) -> pa.BooleanArray:
    """Which days are in the calendar; of no account for what is no day."""
    distinct = pc.unique(days)
    real = pa.array(np.array([_in_calendar(day) for day in distinct.to_pylist()], dtype=bool))
    return real.take(pc.index_in(days, distinct))


def _in_calendar(day: str | None) -> bool:
    try:
        date.fromisoformat(day or "")
    except ValueError:
        return False
    return True


def _why(column: Column, text: str, cell: str, source: Source) -> tuple[Code, str]:
    """Why a text that was read from a cell is not right."""
    quoted = shown(cell)
    if "\ufffd" in text:
        return "structure", (
            f"{quoted} cannot be read as {source.encoding}: name the file's encoding under `encoding`"
            " (cp932, latin-1, utf-16 ...), or type the cell again."
        )
    if not text.strip():
        return "value", "The cell holds only blanks: leave it empty."
    if any((ord(sign) < 32 and sign not in "\t\n\r") or 127 <= ord(sign) < 160 for sign in text):
        return "value", f"{quoted} holds a control character: take it out."
    if column.values:
        each = " (several are separated by ;)" if column.type == "codes" else ""
        known = ", ".join(column.values)
        return "code-invalid", f"{quoted} is not known here. Known are: {known}{each}. Name theirs under `codes`."
    if column.type in ("date", "dateTime"):
        return "value", f"{quoted} {_why_no_date(column, text, source)}."
    if column.type == "decimal" and source.decimal == "," and "." in cell:
        return "value", f"{quoted} has a point where `decimal` says comma: write it without, like 612,60."
    return "value", f"{quoted} {_WANTED['code' if column.type == 'codes' else column.type]}."


def _why_no_date(column: Column, text: str, source: Source) -> str:
    if re.fullmatch(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2}", text):
        return "has a year of two digits: write all four"
    if re.fullmatch(r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}", text) and not re.fullmatch(_DATE, text):
        order = f"not {source.date_order} as `date_order` says" if source.order else "read as no order of days"
        return f"is {order}: say under `date_order` whether it is DMY, MDY or YMD, or write 2003-05-17"
    if re.fullmatch(_DATE, text[:10]) and len(text) >= 10 and not _in_calendar(text[:10]):
        return "is not in the calendar: correct the day"
    if re.fullmatch(_CLOCK, text):
        wanted = "add it, like 2003-05-17T09:30:00+09:00, name it under `zone`, or write the date alone"
        return f"has a time without a zone: {wanted}"
    return _WANTED[column.type]
