"""What a monitor asks a site: one question a difference, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhir_ivig.verification.difference import Difference

_WHOLE_ROWS = {
    "row": "Is it right?",
    "missing day": "Was it given?",
    "duplicate": "Which one is right?",
    "subject": "Does this subject take part?",
}
QUERY = ("site", "subject", "visit", "measure", "question", "study_place", "record_place")


def query(one: Difference) -> dict[str, Any]:
    """A line for `queries.csv`: by site and subject, the question, and where to look on both sides.

    What names or describes a person is not quoted.
    """
    said: Mapping[str, Any] = {name: getattr(one, name) for name in QUERY if name != "question"}
    return {name: question(one) if name == "question" else said[name] for name in QUERY}


def question(one: Difference) -> str:
    """The question."""
    words = [_where(one)]
    if one.kind == "uncertain match":
        words.append(
            f"the study has {one.column} {one.study}, the hospital's record {one.record}. Are they the same?"
        )
    elif one.column is None:
        words.append(_whole(one))
    elif one.kind in ("swapped subjects", "other subject", "other visit", "numbered otherwise"):
        and_back = ", and the reverse" if one.kind == "swapped subjects" else ""
        words.append(
            f"the study files it under {one.column} {one.study}, the hospital's record under {one.record}{and_back}."
        )
        words.append(f"{one.why} Where does it belong?")
    else:
        words.append(_cell(one))
    return " ".join(words)


def _where(one: Difference) -> str:
    """`Assessments, CK at week 0:`"""
    at = f" at {one.visit}" if one.visit else ""
    said = [one.table.replace("_", " ").capitalize(), one.key, f"{one.measure}{at}" if one.measure else ""]
    return f"{', '.join(filter(None, said))}:"


def _whole(one: Difference) -> str:
    here = one.study is not None
    sides = ("study", "hospital's record") if here else ("hospital's record", "study")
    what = "a second row" if one.kind == "duplicate" else "this subject" if one.kind == "subject" else "a row"
    holds = one.study if here else one.record
    text = f"the {sides[0]} has {what} that the {sides[1]} does not have{f' ({holds})' if holds else ''}."
    return " ".join(filter(None, (text, one.why, _WHOLE_ROWS.get(one.kind, "Which is right?"))))


def _cell(one: Difference) -> str:
    if one.private:
        return f"{one.column} is not the same in the study and in the hospital's record. Which is right?"
    ours, theirs = (f"{value}" if value is not None else "empty" for value in (one.study, one.record))
    unsure = "" if one.certain else " It is not certain that they belong together."
    why = f" {one.why}" if one.why else ""
    return f"{one.column} is {ours} in the study and {theirs} in the hospital's record.{why}{unsure} Which is right?"
