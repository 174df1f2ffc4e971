"""The Total Improvement Score of the 2016 ACR/EULAR response criteria for myositis.

Each of the six core set measures gives points by its absolute percent change, 100 times the improvement by the range
of the measure; the points sum to 0 to 100. Worsening takes nothing off. Sources:

- adult dermatomyositis and polymyositis, minimal, moderate and major from 20, 40 and 60: Aggarwal et al. 2017, Ann
  Rheum Dis 76(5):792 (https://ard.bmj.com/content/76/5/792); points and bands from its table 3,
  https://pmc.ncbi.nlm.nih.gov/articles/PMC5577002/table/T3
- juvenile dermatomyositis, the same points, from 30, 45 and 70: Rider et al. 2017,
  https://pmc.ncbi.nlm.nih.gov/articles/PMC5407906

A band takes in its upper edge and not its lower one (>5 to 15 %). All is exact: 1.1 to 0.6 cm of 10 is 5 %, no more.
The enzyme is the one most abnormal at baseline, followed thereafter. What the range of an enzyme is stands in a
footnote that was not at hand: a public implementation takes 15 times the upper limit of normal for CK and 3 times for
AST, ALT and LDH; the study file says it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from fhir_ivig.endpoints.core_set import ITEMS, Change, Changes, changes
from fhir_ivig.endpoints.definition import CoreSet, Population, Visit
from fhir_ivig.endpoints.tables import Row, Tables
from fhir_ivig.issue import Issue

EDGES = (5, 15, 25, 40)  # percent, the upper edges of the first four bands
STRENGTH_EDGES = (2, 10, 20, 30)
POINTS = {
    "physician": ("0", "7.5", "15", "17.5", "20"),
    "patient": ("0", "2.5", "5", "7.5", "10"),
    "strength": ("0", "10", "20", "27.5", "32.5"),
    "function": ("0", "5", "7.5", "7.5", "10"),
    "enzyme": ("0", "2.5", "5", "7.5", "7.5"),
    "extramuscular": ("0", "7.5", "12.5", "15", "20"),
}
THRESHOLDS = {
    "adult": {"minimal": Decimal(20), "moderate": Decimal(40), "major": Decimal(60)},
    "juvenile": {"minimal": Decimal(30), "moderate": Decimal(45), "major": Decimal(70)},
}


def points(item: str, percent: Fraction) -> Decimal:
    """The points of an item for its absolute percent change, improvement being above 0."""
    edges = STRENGTH_EDGES if item == "strength" else EDGES
    return Decimal(POINTS[item][sum(percent > edge for edge in edges)])


@dataclass(frozen=True, slots=True)
class Score:
    """The score of one subject: the points of each item known, how they came about, and the rows behind them."""

    total: Decimal
    points: Mapping[str, Decimal]
    items: Mapping[str, Change]
    rows: tuple[Row, ...]


@dataclass(slots=True)
class Scores:
    """The score by subject, the reason for every subject without one, doubts, and Issues."""

    scores: dict[str, Score] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)


def scores(
    tables: Tables, population: Population, core_set: CoreSet, from_: Visit, to: Visit, optional: Collection[str] = ()
) -> Scores:
    """The score of each subject. A measure that is missing leaves its subject out, unless it is among the `optional`
    ones: then it gives no points, which is a doubt (the score could only be higher)."""
    read = changes(tables, population, core_set, from_, to)
    found = Scores(doubts=dict(read.doubts), issues=read.issues)
    for subject in sorted(population.subjects):
        lacking = read.reasons[subject]
        if needed := [lacking[item] for item in ITEMS if item in lacking and item not in optional]:
            found.reasons[subject] = "; ".join(needed)
            continue
        found.scores[subject] = _score(read, subject)
        if lacking:
            without = f"scored without {', '.join(item for item in ITEMS if item in lacking)}"
            found.doubts[subject] = "; ".join(filter(None, (found.doubts.get(subject), without)))
    return found


def _score(read: Changes, subject: str) -> Score:
    items = read.items[subject]
    given = {item: points(item, items[item].percent) for item in ITEMS if item in items}
    rows = tuple(row for change in items.values() for row in change.rows)
    return Score(sum(given.values(), Decimal(0)), given, items, rows)
