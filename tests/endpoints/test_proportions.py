"""Proportions and their difference: published figures, deliberately plain implementations, and laws."""

from __future__ import annotations

import random
from math import comb, log, sqrt

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import barnard_exact, norm

from fhir_ivig.endpoints.proportions import (
    DIFFERENCES,
    INTERVALS,
    Share,
    barnard,
    fisher,
    miettinen_nurminen,
    percent,
    percent_difference,
)

pytestmark = pytest.mark.filterwarnings("error")
shares = st.integers(1, 40).flatmap(lambda of: st.builds(Share, st.integers(0, of), st.just(of)))

# ProDERM (Aggarwal et al. 2022): responders of 47 and 48 with a score of 20, 40 and 60 or more; percent as printed.
PRODERM = [
    ((37, 47), (21, 48), "34.97", "16.70", "53.24"),
    ((32, 47), (11, 48), "45", "27", "63"),
    ((15, 47), (4, 48), "24", "8", "39"),
]

# Newcombe 1998 (Statistics in Medicine 17:873-890), table II: three contrasts with the intervals of Wald, of
# Miettinen and Nurminen, and of the hybrid score method. The paper was not at hand: the figures are as a paper on
# SAS reproduces them (WUSS 2016, no. 127, page 9), which tests of R packages quote.
NEWCOMBE = [
    (
        (56, 70),
        (48, 80),
        {"wald": (0.0575, 0.3425), "miettinen-nurminen": (0.0528, 0.3382), "newcombe": (0.0524, 0.3339)},
    ),
    (
        (9, 10),
        (3, 10),
        {"wald": (0.2605, 0.9395), "miettinen-nurminen": (0.1700, 0.8406), "newcombe": (0.1705, 0.8090)},
    ),
    ((10, 10), (0, 20), {"wald": (1.0, 1.0), "miettinen-nurminen": (0.7156, 1.0), "newcombe": (0.6791, 1.0)}),
]


@pytest.mark.parametrize(("one", "other", "difference", "low", "high"), PRODERM)
def test_proderm(one: tuple[int, int], other: tuple[int, int], difference: str, low: str, high: str) -> None:
    found = percent_difference(Share(*one), Share(*other), "wald")
    digits = len(difference.partition(".")[2])
    assert [f"{number:.{digits}f}" for number in (found.estimate, found.low, found.high)] == [difference, low, high]


@pytest.mark.parametrize(("one", "other", "ends"), NEWCOMBE)
def test_newcombe_s_table(one: tuple[int, int], other: tuple[int, int], ends: dict[str, tuple[float, float]]) -> None:
    for interval, printed in ends.items():
        found = percent_difference(Share(*one), Share(*other), interval)
        assert (round(float(found.low or 0) / 100, 4), round(float(found.high or 0) / 100, 4)) == printed, interval


def test_wilson_and_clopper_pearson_as_quoted() -> None:
    """81 of 263 and 15 of 148 in Newcombe 1998 (Statistics in Medicine 17:857-872), table I, methods 3 and 5. The
    paper was not at hand: those of Wilson and of Clopper and Pearson are as tests of other packages quote them.
    Wald's is 0.3080 plus and minus 1.96 times the root of 0.3080 * 0.6920 / 263, by hand."""
    for share, interval, printed in (
        (Share(81, 263), "wilson", (0.2553, 0.3662)),
        (Share(81, 263), "clopper-pearson", (0.2527, 0.3676)),
        (Share(15, 148), "wilson", (0.0624, 0.1605)),
        (Share(15, 148), "clopper-pearson", (0.0578, 0.1617)),
        (Share(81, 263), "wald", (0.2522, 0.3638)),
    ):
        found = percent(share, interval)
        assert (round(float(found.low or 0) / 100, 4), round(float(found.high or 0) / 100, 4)) == printed, interval


def test_tea() -> None:
    """Fisher's tea-tasting lady (Agresti, Categorical Data Analysis, 3.5): p two-sided 34/70, odds ratio 6.41."""
    found = fisher(Share(3, 4), Share(1, 4))
    assert found.p == pytest.approx(34 / 70)
    assert float(found.estimate or 0) == pytest.approx(6.408, abs=0.001)


def test_barnard_by_hand() -> None:
    """3 of 3 against 0 of 3: no table is as extreme, and p^3 (1 - p)^3 is largest at p = 1/2, one-sided 1/64."""
    assert barnard(Share(3, 3), Share(0, 3)).p == pytest.approx(2 / 64)


def plainly(one: Share, other: Share, difference: float) -> float:
    """The squared score at a difference: the likelihood over the other share is made largest by narrowing down."""

    def likely(second: float) -> float:
        parts = zip((one, other), (second + difference, second), strict=True)
        return sum(
            (share.hits and share.hits * log(p)) + (share.of - share.hits and (share.of - share.hits) * log(1 - p))
            for share, p in parts
        )

    low, high = max(0.0, -difference) + 1e-12, min(1.0, 1 - difference) - 1e-12
    for _ in range(100):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if likely(left) > likely(right) else (left, high)
    second, of = (low + high) / 2, one.of + other.of
    first = second + difference
    variance = (first * (1 - first) / one.of + second * (1 - second) / other.of) * of / (of - 1)
    return float((one.hits / one.of - other.hits / other.of - difference) ** 2 / variance)


@settings(max_examples=200, deadline=None)
@given(shares, shares)
def test_miettinen_nurminen_plainly(one: Share, other: Share) -> None:
    """At an end that is not -1 or 1 the squared score is the chi-squared quantile."""
    assume(one.of + other.of > 2)
    low, high = miettinen_nurminen(one, other)
    seen = one.hits / one.of - other.hits / other.of
    for end in (low, high):
        if abs(end) < 0.9999 and abs(end - seen) > 1e-9:
            assert plainly(one, other, end) == pytest.approx(norm.ppf(0.975) ** 2, rel=1e-4), (low, high)


def score(a: int, m: int, b: int, n: int) -> float:
    pooled = (a + b) / (m + n)
    return abs(a / m - b / n) / sqrt(pooled * (1 - pooled) * (1 / m + 1 / n)) if 0 < pooled < 1 else 0.0


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_barnard_plainly(m: int, n: int, data: st.DataObject) -> None:
    """The largest chance, over a fine grid of the common share, of a table with as large a score."""
    a, b = data.draw(st.integers(0, m)), data.draw(st.integers(0, n))
    assume(0 < a + b < m + n)
    least = score(a, m, b, n) - 1e-9
    far = [(x, y) for x in range(m + 1) for y in range(n + 1) if score(x, m, y, n) >= least]
    chances = [
        sum(comb(m, x) * comb(n, y) * p ** (x + y) * (1 - p) ** (m + n - x - y) for x, y in far)
        for p in (step / 1000 for step in range(1001))
    ]
    assert max(chances) - 1e-9 <= (barnard(Share(a, m), Share(b, n)).p or 0) <= max(chances) + 1e-5


def test_barnard_beside_scipy() -> None:
    """scipy looks for the largest chance among few shares: what it finds is never above ours, and mostly the same."""
    chance, apart = random.Random(1), []
    for of, other_of in (chance.choices(range(1, 16), k=2) for _ in range(300)):
        one, other = Share(chance.randint(0, of), of), Share(chance.randint(0, other_of), other_of)
        if not 0 < one.hits + other.hits < of + other_of:
            continue
        theirs = barnard_exact([[one.hits, other.hits], [of - one.hits, other_of - other.hits]])
        ours = barnard(one, other)
        assert float(ours.estimate or 0) == pytest.approx(theirs.statistic, abs=1e-9), (one, other)
        apart.append((ours.p or 0) - theirs.pvalue)
    assert len(apart) > 200
    assert min(apart) > -1e-9
    assert sum(gap < 1e-4 for gap in apart) > 0.75 * len(apart)


@given(shares, st.sampled_from(sorted(INTERVALS)))
def test_an_interval_holds_its_estimate_and_turns_with_it(share: Share, interval: str) -> None:
    found, turned = percent(share, interval), percent(Share(share.of - share.hits, share.of), interval)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.high <= 100
    assert float(found.low) - 1e-9 <= float(found.estimate or 0) <= float(found.high) + 1e-9
    assert float(found.low) == pytest.approx(100 - float(turned.high or 0), abs=1e-6)


@settings(deadline=None)
@given(shares, shares, st.sampled_from(sorted(DIFFERENCES)))
def test_a_difference_turns_with_the_arms(one: Share, other: Share, interval: str) -> None:
    found, turned = percent_difference(one, other, interval), percent_difference(other, one, interval)
    low, estimate, high = (float(number or 0) for number in (found.low, found.estimate, found.high))
    assert -100 - 1e-9 <= low <= estimate + 1e-9
    assert estimate - 1e-9 <= high <= 100 + 1e-9
    assert found.estimate == -(turned.estimate or 0)
    assert (low, high) == pytest.approx((-float(turned.high or 0), -float(turned.low or 0)), abs=1e-6)


@given(shares, st.sampled_from(sorted(INTERVALS)))
def test_one_more_response_moves_an_interval_up(share: Share, interval: str) -> None:
    assume(share.hits < share.of and interval != "wald")
    found, more = percent(share, interval), percent(Share(share.hits + 1, share.of), interval)
    assert (found.low or 0) <= (more.low or 0)
    assert (found.high or 0) <= (more.high or 0)


@settings(max_examples=50, deadline=None)
@given(shares, shares)
def test_tests_turn_with_the_arms(one: Share, other: Share) -> None:
    for test in (fisher, barnard):
        found, turned = test(one, other), test(other, one)
        assert (found.p is None) == (turned.p is None) == bool(found.warnings and "Not" in found.warnings[0])
        if found.p is not None and turned.p is not None:
            assert found.p == pytest.approx(turned.p, abs=1e-4)
            assert 0 < found.p <= 1


def test_nobody_is_not_evaluable() -> None:
    none, some = Share(0, 0), Share(1, 2)
    for found in (
        percent(none, "wilson"),
        percent_difference(none, some, "newcombe"),
        fisher(some, none),
        barnard(none, none),
    ):
        assert found.estimate is None
        assert found.p is None
        assert "n is 0" in found.warnings[0]
