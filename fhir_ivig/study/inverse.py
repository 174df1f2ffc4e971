"""Cells of the study's tables in the words of a file: what `fhir_ivig.study.cells` does, the other way round.

What does not come back when it is read again is found by reading it again (`fhir_ivig.study.returning`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from fhir_ivig.shape import DECIMAL
from fhir_ivig.study.dictionary import Column
from fhir_ivig.study.source import Source
from fhir_ivig.study.texts import strings

_FORMS = {"DMY": "DD/MM/YYYY", "MDY": "MM/DD/YYYY", "YMD": "YYYY/MM/DD"}
_MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d:\d\d)(:\d\d(?:\.\d+)?)(Z|[+-]\d\d:\d\d))?")


def theirs(column: Column, cells: pa.StringArray, source: Source, numbers: bool = False) -> pa.StringArray:
    """Cells of a column of ours as the file has them; `numbers`: they are decimals, though the column is of texts."""
    encoded = cells.dictionary_encode()
    texts: list[str] = encoded.dictionary.to_pylist()
    if column.type in ("date", "dateTime") and (source.date_order or source.zone):
        texts = [_date(text, source) for text in texts]
    if source.decimal == "," and (column.type == "decimal" or numbers):
        texts = [text.replace(".", ",") if re.fullmatch(DECIMAL, text) else text for text in texts]
    if codes := source.codes.get(column.name):
        words = _words(codes)
        several = column.type == "codes"
        texts = [
            words.get(text) or (";".join(words.get(one, one) for one in text.split(";")) if several else text)
            for text in texts
        ]
    prefix = source.prefixes.get(column.name, "")
    return strings(f"{prefix}{text}" for text in texts).take(encoded.indices)


def ambiguous(column: Column, cells: pa.StringArray, source: Source) -> dict[str, list[str]]:
    """Those words of ours in the cells for which the file has several."""
    codes = source.codes.get(column.name, {})
    found = {ours: [word for word, meant in codes.items() if meant == ours] for ours in codes.values() if ours}
    there = set(pc.unique(cells).drop_null().to_pylist())
    if column.type == "codes":
        there = {one for text in there for one in text.split(";")}
    return {ours: words for ours, words in found.items() if len(words) > 1 and ours in there}


def boxes(cells: pa.StringArray, column: str, source: Source) -> dict[str, pa.StringArray]:
    """A column of several words as the file's checkboxes."""
    ticked, unticked = source.ticks
    padded = pc.binary_join_element_wise("", cells.fill_null(""), "", ";")
    return {
        box: pc.if_else(pc.match_substring(padded, f";{word};"), ticked, unticked)
        for word, box in source.checkboxes[column].items()
    }


def _words(codes: Mapping[str, str]) -> dict[str, str]:
    """Ours to theirs, the first where there are several."""
    return {ours: word for word, ours in reversed(list(codes.items())) if ours}


def _date(text: str, source: Source) -> str:
    found = _MOMENT.fullmatch(text)
    if not found:
        return text  # a month or a year: it stands as it is
    year, month, day, clock, seconds, zone = found.groups()
    if clock and zone != source.zone:
        return text
    form, _, rest = (_FORMS.get(source.date_order or "", source.date_order) or "YYYY-MM-DD").partition("h")
    between = form[-1] if rest else "T"
    date = form.rstrip(" T").replace("YYYY", year)
    for sign, number in (("M", month), ("D", day)):
        date = date.replace(sign * 2, number).replace(sign, number.lstrip("0"))
    if not clock:
        return date
    short = rest == "h:mm" and seconds == ":00"
    return f"{date}{between}{clock}{'' if short else seconds}"
