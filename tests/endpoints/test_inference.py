"""Against published examples, brute force, and scipy by another way."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import combinations_with_replacement, product
from statistics import median

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from fhir_ivig.endpoints import inference
from fhir_ivig.endpoints.inference import hodges_lehmann, paired_t, proportion, signed_rank
from fhir_ivig.endpoints.result import Result

# Few distinct values, so that ties and zeros are the rule.
coarse = st.lists(st.integers(-4, 4).map(lambda half: Decimal(half) / 2), min_size=2, max_size=8)

# Hollander and Wolfe, Nonparametric Statistical Methods, example 3.1: Hamilton depression scale factor IV, nine
# patients, tranquilizer. The exact one-sided p is 5/256; the estimate -0.46 and its 96 % interval (-.786, -.010)
# are those of examples 3.3 and 3.4.
BEFORE = ["1.83", "0.50", "1.62", "2.48", "1.68", "1.88", "1.55", "3.06", "1.30"]
AFTER = ["0.878", "0.647", "0.598", "2.05", "1.06", "1.29", "1.06", "3.14", "1.29"]
DEPRESSION = [Decimal(y) - Decimal(x) for x, y in zip(BEFORE, AFTER, strict=True)]

# Student 1908 (Biometrika 6:1), hours of sleep gained with two drugs, ten patients: t = 4.06, p = 0.0028,
# mean 1.58, interval 0.70 to 2.46.
SLEEP = [Decimal(x) for x in ["1.2", "2.4", "1.3", "1.3", "0.0", "1.0", "1.8", "0.8", "4.6", "1.4"]]


def near(number: Decimal | float | None, wanted: float, by: float) -> bool:
    return number is not None and abs(float(number) - wanted) <= by


def test_textbook_signed_rank() -> None:
    result = signed_rank(DEPRESSION)
    assert result.estimate == 5  # 45 - 40
    assert result.p == 10 / 256
    found = hodges_lehmann(DEPRESSION)
    assert near(found.estimate, -0.46, 0.0005)
    assert near(found.low, -0.786, 0.0005)
    assert near(found.high, -0.010, 0.0005)
    assert "0.9609" in found.method


def test_textbook_t() -> None:
    result = paired_t(SLEEP)
    assert result.estimate == Decimal("1.58")
    assert near(result.low, 0.70, 0.005)
    assert near(result.high, 2.46, 0.005)
    assert near(result.p, 0.00283, 0.000005)


@pytest.mark.parametrize(("pairs", "p"), [(7, 0.015625), (8, 0.0078125)])
def test_smallest_exact_p(pairs: int, p: float) -> None:
    assert signed_rank([Decimal(n) for n in range(1, pairs + 1)]).p == p
    assert signed_rank([Decimal(-1)] * pairs).p == p


@pytest.mark.parametrize(("hits", "of", "low", "high"), [(7, 8, 47.3, 99.7), (2, 15, 1.7, 40.5)])
def test_clopper_pearson_as_published(hits: int, of: int, low: float, high: float) -> None:
    result = proportion(hits, of)
    assert near(result.low, low, 0.05)
    assert near(result.high, high, 0.05)


@given(st.integers(1, 300).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_clopper_pearson_is_the_beta_quantiles(pair: tuple[int, int]) -> None:
    hits, of = pair
    result = proportion(hits, of)
    low = stats.beta.ppf(0.025, hits, of - hits + 1) if hits else 0
    high = stats.beta.ppf(0.975, hits + 1, of - hits) if hits < of else 1
    assert near(result.low, 100 * low, 1e-6)
    assert near(result.high, 100 * high, 1e-6)


def by_every_sign(differences: list[Decimal]) -> float:
    sizes = [abs(d) for d in differences]
    ranks = [
        sum(other < size for other in sizes) + Decimal(sum(other == size for other in sizes) + 1) / 2
        for size in sizes
    ]
    ranks = [rank if d else Decimal(0) for rank, d in zip(ranks, differences, strict=True)]

    def away(signs: tuple[int, ...]) -> Decimal:
        return abs(sum((s * rank for s, rank in zip(signs, ranks, strict=True)), Decimal(0)))

    seen = away(tuple(1 if d > 0 else -1 for d in differences))
    every = [away(signs) >= seen for signs in product((1, -1), repeat=len(ranks))]
    return sum(every) / len(every)


@given(coarse)
def test_signed_rank_is_the_count_over_every_sign(differences: list[Decimal]) -> None:
    assume(any(differences))
    assert near(signed_rank(differences).p, by_every_sign(differences), 1e-12)


@settings(max_examples=25, deadline=None)
@given(coarse)
def test_signed_rank_is_scipys_permutation_test(differences: list[Decimal]) -> None:
    assume(any(differences))
    exact = stats.PermutationMethod(n_resamples=np.inf)
    wanted = stats.wilcoxon([float(d) for d in differences], zero_method="pratt", method=exact).pvalue
    assert near(signed_rank(differences).p, float(wanted), 1e-12)


@given(st.lists(st.integers(-30, 30).map(Decimal), min_size=2, max_size=40))
def test_hodges_lehmann_is_the_median_of_all_averages(differences: list[Decimal]) -> None:
    result = hodges_lehmann(differences)
    walsh = sorted((x + y) / 2 for x, y in combinations_with_replacement(differences, 2))
    assert result.estimate == median(walsh)
    assert (result.low is None) == (len(differences) < 6)
    if result.low is not None and result.high is not None:
        assert result.low in walsh
        assert result.low <= median(walsh) <= result.high


@pytest.mark.parametrize(("pairs", "tail"), [(6, 1), (7, 3), (8, 4), (10, 9), (15, 26), (20, 53), (25, 90)])
def test_interval_ranks_are_those_of_the_tables(pairs: int, tail: int) -> None:
    """One more than the two-sided 5 % points of the signed-rank test (Wilcoxon and Wilcox 1964, table 2: 0, 2, 3, 8,
    25, 52, 89)."""
    differences = [Decimal(2**n) for n in range(pairs)]
    walsh = sorted((x + y) / 2 for x, y in combinations_with_replacement(differences, 2))
    result = hodges_lehmann(differences)
    assert (result.low, result.high) == (walsh[tail - 1], walsh[-tail])


def test_large_samples_join_the_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    differences = [Decimal(int(n)) / 10 for n in rng.normal(1, 12, 400).round(0)]
    exact_p, exact = signed_rank(differences).p, hodges_lehmann(differences)
    monkeypatch.setattr(inference, "EXACT_UP_TO", 10)
    rough_p, rough = signed_rank(differences).p, hodges_lehmann(differences)
    assert exact_p is not None
    assert near(rough_p, exact_p, 0.002)
    assert "normal" in rough.method
    assert near(rough.low, float(exact.low or 0), 0.011)
    assert rough.estimate == exact.estimate


@pytest.mark.parametrize("test", [paired_t, signed_rank, hodges_lehmann])
@pytest.mark.parametrize("differences", [[], ["3"], ["0", "0", "0"], ["0.1"] * 4, ["1e-12", "0"]])
@pytest.mark.filterwarnings("error")
def test_degenerate_samples_say_so(test: Callable[..., Result], differences: list[str]) -> None:
    result = test([Decimal(d) for d in differences])
    assert result.warnings or result.p is not None
    for number in (result.estimate, result.low, result.high, result.p):
        assert number is None or float(number) == float(number)
