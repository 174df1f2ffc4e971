"""Columns of exact numbers against Decimals one by one; the statistics of differences against other sources."""

from __future__ import annotations

import math
import statistics
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fhir_ivig.endpoints.numbers import Numbers
from fhir_ivig.endpoints.paired import effect_size, median_of, sign_test

written = st.from_regex(r"\A-?[0-9]{1,12}(\.[0-9]{1,12})?\Z") | st.from_regex(r"\A-?[0-9]{1,3}(\.[0-9]{1,2})?\Z")


@settings(deadline=None)
@given(st.lists(written, min_size=1, max_size=12), st.lists(written, min_size=12, max_size=12))
def test_numbers_are_what_is_written(texts: list[str], others: list[str]) -> None:
    plain, apart = [Decimal(text) for text in texts], [Decimal(text) for text in others[: len(texts)]]
    for numbers in (Numbers.read(pa.array(texts)), Numbers.of(plain)):
        assert list(numbers) == plain == [numbers[place] for place in range(len(numbers))]
        assert list(numbers.minus(Numbers.of(apart))) == [one - two for one, two in zip(plain, apart, strict=True)]
        assert numbers.floats.tolist() == [float(number) for number in plain]
        assert numbers.alike == (len(set(plain)) == 1)
        mean = sum(map(Fraction, plain)) / len(plain)
        assert numbers.mean() == Decimal(mean.numerator) / mean.denominator
        assert list(numbers.at(np.array([len(texts) - 1, 0]))) == [plain[-1], plain[0]]
        assert median_of(numbers, "it").estimate == statistics.median(plain)


def test_no_numbers() -> None:
    none = Numbers.read(pa.array([], pa.string()))
    assert (len(none), none.mean(), none.alike, none.floats.tolist()) == (0, None, True, [])
    for found in (median_of(none, "it"), sign_test(none), effect_size(none)):
        assert found.estimate is None
        assert found.warnings == ("Not evaluable: n is 0.",)


@settings(deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=2, max_size=30))
def test_sign_test_is_the_binomial_test(differences: list[int]) -> None:
    found = sign_test(Numbers.of(map(Decimal, differences)))
    positive, apart = sum(d > 0 for d in differences), sum(d != 0 for d in differences)
    if not apart:
        assert found.warnings == ("Not evaluable: all differences are zero.",)
    else:
        assert found.estimate == positive
        assert found.p == pytest.approx(stats.binomtest(positive, apart).pvalue)


@settings(deadline=None)
@given(st.lists(st.integers(-50, 99), min_size=2, max_size=40))
def test_effect_size_inverts_the_noncentral_t(differences: list[int]) -> None:
    found = effect_size(Numbers.of(map(Decimal, differences)))
    if len(set(differences)) == 1:
        assert found.warnings == ("Not evaluable: all differences are equal.",)
        return
    size = statistics.mean(differences) / statistics.stdev(differences)
    assert float(found.estimate or 0) == pytest.approx(size, abs=1e-12)
    if found.low is None or found.high is None:
        assert "could not be inverted" in found.warnings[0]
        return
    n = len(differences)
    for end, tail in ((found.low, 0.975), (found.high, 0.025)):
        assert stats.nct.cdf(size * math.sqrt(n), n - 1, float(end) * math.sqrt(n)) == pytest.approx(tail, abs=1e-5)


def test_effect_size_of_published_data() -> None:
    # Student 1908, hours of sleep gained, R's `sleep`: mean difference 1.58, standard deviation 1.229995 (n = 10)
    sleep = ["1.2", "2.4", "1.3", "1.3", "0.0", "1.0", "1.8", "0.8", "4.6", "1.4"]
    found = effect_size(Numbers.of(map(Decimal, sleep)))
    assert float(found.estimate or 0) == pytest.approx(1.284558, abs=1e-6)
    assert found.low is not None
    assert found.high is not None
    assert 0.4 < float(found.low) < 1.2846 < float(found.high) < 2.2
