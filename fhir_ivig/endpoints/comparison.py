"""Counts of the arms of a trial, compared with the last arm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fhir_ivig.endpoints.proportions import DIFFERENCES, Share, barnard, fisher, percent_difference
from fhir_ivig.endpoints.result import Result


def compared(counts: Sequence[Result], intervals: Sequence[str] = tuple(DIFFERENCES)) -> Iterator[Result]:
    """`difference_…` for each interval, `fisher` and `barnard`, of each arm minus the last.

    `counts` are Results, one an arm: how many (estimate) of how many (n) responded.
    """
    shares = [Share(int(count.estimate or 0), count.n or 0) for count in counts]
    for one, share in zip(counts[:-1], shares, strict=False):
        last, pair = counts[-1], (share, shares[-1])
        differences = [percent_difference(*pair, interval) for interval in intervals]
        for result in [*differences, fisher(*pair), barnard(*pair)]:
            yield replace(
                result,
                arm=f"{one.arm} - {last.arm}",
                time_point=one.time_point,
                n=pair[0].of + pair[1].of,
                missing=(one.missing or 0) + (last.missing or 0),
                warnings=tuple(dict.fromkeys((*result.warnings, *one.warnings, *last.warnings))),
                resources=tuple(sorted({*one.resources, *last.resources})),
            )
