"""p-values adjusted for there being several endpoints: Holm, Hochberg, hierarchical.

In the study file, under `multiplicity`, a family is `{method, statistics, label}`: `holm`, `hochberg` or
`hierarchical`, and the statistics in the order of the protocol, as `endpoint.statistic`; where there are
several of that name, `endpoint.statistic, arm`, or with the time point after another comma.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from fhir_ivig.endpoints.definition import fault
from fhir_ivig.endpoints.result import Result
from fhir_ivig.issue import Issue


def holm(ps: Sequence[float]) -> list[float]:
    """Holm 1979 (Scand J Stat 6:65-70): strong control whatever the dependence."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    stepped = accumulate((min(1.0, (len(ps) - place) * ps[at]) for place, at in enumerate(order)), max)
    return _back(order, list(stepped))


def hochberg(ps: Sequence[float]) -> list[float]:
    """Hochberg 1988 (doi:10.1093/biomet/75.4.800): needs independence or positive dependence."""
    order = sorted(range(len(ps)), key=ps.__getitem__, reverse=True)
    stepped = accumulate(((place + 1) * ps[at] for place, at in enumerate(order)), min)
    return _back(order, [min(1.0, p) for p in stepped])


def hierarchical(ps: Sequence[float]) -> list[float]:
    """Fixed sequence (Maurer, Hothorn and Lehmacher 1995): each as large as the largest up to it."""
    return list(accumulate(ps, max))


ADJUSTMENTS = {"holm": holm, "hochberg": hochberg, "hierarchical": hierarchical}
METHODS = {"holm": "Holm", "hochberg": "Hochberg", "hierarchical": "fixed sequence"}


def adjusted(families: Any, results: Mapping[str, Sequence[Result]]) -> Iterator[Result | Issue]:
    """For each family of the study file one Result a statistic: its endpoint is the family, its statistic
    `endpoint.statistic`, with the estimate and the adjusted p.

    `results` are those of each `endpoint.statistic`. One without a p counts as p = 1, with a warning: its hypothesis
    cannot be rejected, and the others are not better off for that.
    """
    if not isinstance(families, dict):
        yield fault("structure", "multiplicity must be names of families with what they stand for.", "multiplicity")
        return
    for name, entry in families.items():
        path = f"multiplicity.{name}"
        issues = list(_faults(entry, path, results))
        yield from issues
        if issues:
            continue
        listed, method = entry["statistics"], entry["method"]
        members = [results[statistic][0] for statistic in listed]
        ps = ADJUSTMENTS[method]([1.0 if member.p is None else member.p for member in members])
        for statistic, member, p in zip(listed, members, ps, strict=True):
            said = (
                member.warnings if member.p is not None else ("Not evaluable: no p, counted as 1.", *member.warnings)
            )
            yield replace(
                member,
                endpoint=str(name),
                label=entry.get("label") or member.label,
                statistic=statistic,
                low=None,
                high=None,
                level=None,
                p=p,
                sidedness=member.sidedness or "two-sided",
                method=f"p adjusted for {len(listed)} tests, {METHODS[method]}; {member.method}".rstrip("; "),
                published=None,
                agrees=None,
                warnings=said,
            )


def _faults(entry: Any, path: str, results: Mapping[str, Sequence[Result]]) -> Iterator[Issue]:
    if not isinstance(entry, dict):
        yield fault("structure", "This must be keys with values.", path)
        return
    for key in entry.keys() - {"method", "statistics", "label"}:
        said = f"A family has no key `{key}`: it has method, statistics, label."
        yield fault("not-supported", said, f"{path}.{key}")
    if entry.get("method") not in ADJUSTMENTS:
        said = f"`{entry.get('method', '')}` is none of {', '.join(ADJUSTMENTS)}."
        yield fault("code-invalid", said, f"{path}.method")
    if not isinstance(entry.get("label", ""), str):
        yield fault("value", "A label is a text.", f"{path}.label")
    listed = entry.get("statistics")
    if not (isinstance(listed, list) and listed and all(isinstance(each, str) for each in listed)):
        yield fault("value", "This must be a list such as [mmt.wilcoxon, ck.wilcoxon].", f"{path}.statistics")
        return
    for place, statistic in enumerate(listed):
        at, found = f"{path}.statistics[{place}]", len(results.get(statistic, ()))
        if listed.index(statistic) < place:
            yield fault("duplicate", f"`{statistic}` stands here twice: keep one.", at)
        elif not found:
            yield fault("not-found", f"There is no `{statistic}`: write an endpoint, a point and its statistic.", at)
        elif found > 1:
            said = f"`{statistic}` is of {found} results: add the arm or the time point after a comma."
            yield fault("duplicate", said, at)


def _back(order: Sequence[int], adjusted: Sequence[float]) -> list[float]:
    """What stands in `order`, in the order before."""
    placed = dict(zip(order, adjusted, strict=True))
    return [placed[at] for at in range(len(order))]
