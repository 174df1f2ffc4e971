"""Every statistic beside R's, on random small data sets with ties and zeros."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from beside_r import SETS, in_r, near

from fhir_ivig.endpoints.groups import ancova, mean_difference, rank_sum, shift
from fhir_ivig.endpoints.inference import hodges_lehmann, paired_t, signed_rank
from fhir_ivig.endpoints.models import Value, changes, differences, fit, interaction, visit_effect
from fhir_ivig.endpoints.multiplicity import hochberg, holm
from fhir_ivig.endpoints.proportions import Share, fisher, percent, percent_difference
from fhir_ivig.endpoints.rates import Events, rate, rate_ratio
from fhir_ivig.endpoints.result import NotEvaluableError, Result
from fhir_ivig.endpoints.survival import Time, log_rank, median_time, survival_at

pytestmark = pytest.mark.filterwarnings("error")
LEAST = 200  # data sets that must have been compared, whatever could not be of the SETS that are drawn


def coarse(chance: random.Random, size: int, unit: str = "0.5") -> list[Decimal]:
    """Numbers of few distinct values, so that ties and zeros are the rule."""
    return [Decimal(chance.randint(-5, 6)) * Decimal(unit) for _ in range(size)]


def fine(chance: random.Random, size: int) -> list[Decimal]:
    """Numbers without ties, whatever their sign."""
    return [Decimal(number * chance.choice([-1, 1])) / 1000 for number in chance.sample(range(1, 9000), size)]


def ends(result: Result) -> list[Decimal | float | None]:
    return [result.estimate, result.low, result.high, result.p]


def same(ours: Sequence[object], theirs: Sequence[float], by: float = 1e-7) -> bool:
    return all(near(mine, other, by) for mine, other in zip(ours, theirs, strict=True))


def test_signed_rank_with_zeros_by_pratt(tmp_path: Path) -> None:
    chance = random.Random(1)
    sets = [coarse(chance, chance.randint(2, 25)) for _ in range(SETS)]
    sets = [each for each in sets if any(each)]
    rows = [{"set": place, "d": d} for place, each in enumerate(sets) for d in each]
    ask = """ask <- function(one) pvalue(wilcoxsign_test(one$d ~ rep(0, nrow(one)), distribution = "exact",
      zero.method = "Pratt"))"""
    theirs = in_r(tmp_path, rows, ask, ["coin"])
    wrong = [(each, p) for each, [p] in zip(sets, theirs, strict=True) if not near(signed_rank(each).p, p)]
    assert wrong == []
    assert sum(0 in each for each in sets) > SETS / 2


def test_paired_differences(tmp_path: Path) -> None:
    chance = random.Random(2)
    sets = [fine(chance, chance.randint(6, 20)) for _ in range(SETS)]
    rows = [{"set": place, "d": d} for place, each in enumerate(sets) for d in each]
    ask = """ask <- function(one) { t <- t.test(one$d); w <- wilcox.test(one$d, conf.int = TRUE, exact = TRUE)
      c(t$estimate, t$conf.int, t$p.value, w$estimate, w$conf.int) }"""
    for each, theirs in zip(sets, in_r(tmp_path, rows, ask), strict=True):
        assert same([*ends(paired_t(each)), *ends(hodges_lehmann(each))[:3]], theirs), each


def test_one_proportion(tmp_path: Path) -> None:
    pairs = [Share(hits, of) for of in range(1, 22) for hits in range(of + 1)]
    rows = [{"set": place, "hits": pair.hits, "of": pair.of} for place, pair in enumerate(pairs)]
    ask = """ask <- function(one) c(binom.test(one$hits, one$of)$conf.int,
      prop.test(one$hits, one$of, correct = FALSE)$conf.int)"""
    for pair, theirs in zip(pairs, in_r(tmp_path, rows, ask), strict=True):
        ours = [end for name in ("clopper-pearson", "wilson") for end in ends(percent(pair, name))[1:3]]
        assert same(ours, [100 * end for end in theirs], 1e-6), pair


def test_newcombe(tmp_path: Path) -> None:
    """Beside the package Epi, written by others: its ci.pd, method "Nc"."""
    chance = random.Random(8)
    pairs = [[Share(chance.randint(0, of), of) for of in chance.choices(range(1, 40), k=2)] for _ in range(SETS)]
    rows = [{"set": p, "a": a.hits, "m": a.of, "b": b.hits, "n": b.of} for p, (a, b) in enumerate(pairs)]
    ask = """ask <- function(one) with(one,
      ci.pd(a, b, m - a, n - b, method = "Nc", print = FALSE)[1, c("diff", "2.5%", "97.5%")])"""
    for pair, theirs in zip(pairs, in_r(tmp_path, rows, ask, ["Epi"]), strict=True):
        ours = ends(percent_difference(*pair, "newcombe"))[:3]
        assert same(ours, [100 * end for end in theirs], 1e-6), pair


def to_one(ratio: float) -> float:
    return ratio if ratio < 1 else 2 - 1 / ratio


def test_fisher(tmp_path: Path) -> None:
    chance = random.Random(3)
    tables = [[Share(chance.randint(0, of), of) for of in chance.sample(range(1, 20), 2)] for _ in range(2 * SETS)]
    tables = [table for table in tables if 0 < sum(share.hits for share in table) < sum(s.of for s in table)]
    rows = [{"set": p, "a": a.hits, "m": a.of, "b": b.hits, "n": b.of} for p, (a, b) in enumerate(tables)]
    ask = """ask <- function(one) with(one, { f <- fisher.test(matrix(c(a, m - a, b, n - b), 2))
      c(f$p.value, f$estimate, f$conf.int) })"""
    for table, (p, *theirs) in zip(tables, in_r(tmp_path, rows, ask), strict=True):
        ours = fisher(*table)
        assert near(ours.p, p), table
        if math.isfinite(theirs[2]):
            # fisher.test looks for them, or for one over them, by uniroot with its tolerance of 1e-4
            pairs = zip(ends(ours)[:3], theirs, strict=True)
            assert all(abs(to_one(float(mine or 0)) - to_one(other)) < 2e-4 for mine, other in pairs), table
        else:
            assert ours.estimate is None
            assert "infinite" in ours.warnings[0]


def two_groups(seed: int, ties: bool, least: int = 2) -> list[tuple[list[Decimal], list[Decimal]]]:
    chance = random.Random(seed)
    found = []
    while len(found) < SETS:
        one, other = chance.randint(least, 12), chance.randint(least, 12)
        numbers = coarse(chance, one + other) if ties else fine(chance, one + other)
        if len(set(numbers[:one])) > 1 and len(set(numbers[one:])) > 1:
            found.append((numbers[:one], numbers[one:]))
    return found


def grouped(sets: Sequence[tuple[list[Decimal], list[Decimal]]]) -> list[dict[str, object]]:
    """Rows of two groups, the one under study as the first level."""
    return [
        {"set": place, "y": y, "g": name}
        for place, pair in enumerate(sets)
        for name, group in zip("ab", pair, strict=True)
        for y in group
    ]


def test_two_means_and_the_exact_rank_sum_with_ties(tmp_path: Path) -> None:
    sets = two_groups(4, ties=True)
    ask = """ask <- function(one) { one$g <- factor(one$g); s <- t.test(y ~ g, one, var.equal = TRUE)
      w <- t.test(y ~ g, one); d <- -diff(s$estimate)
      c(d, s$conf.int, s$p.value, d, w$conf.int, w$p.value, pvalue(wilcox_test(y ~ g, one, distribution = "exact")),
        wilcox.test(y ~ g, one, exact = FALSE)$statistic) }"""
    for (one, other), theirs in zip(sets, in_r(tmp_path, grouped(sets), ask, ["coin"]), strict=True):
        ranks = rank_sum(one, other)
        means = [ends(mean_difference(one, other, equal)) for equal in (True, False)]
        assert same([*means[0], *means[1], ranks.p, ranks.estimate], theirs), (one, other)


def test_shift(tmp_path: Path) -> None:
    sets = [pair for pair in two_groups(5, ties=False, least=4) if len(pair[0]) * len(pair[1]) > 20]
    ask = """ask <- function(one) { w <- wilcox.test(y ~ g, one, conf.int = TRUE, exact = TRUE)
      c(w$estimate, w$conf.int, w$p.value) }"""
    for (one, other), theirs in zip(sets, in_r(tmp_path, grouped(sets), ask), strict=True):
        assert same([*ends(shift(one, other))[:3], rank_sum(one, other).p], theirs), (one, other)
    assert len(sets) >= LEAST


def test_covariance(tmp_path: Path) -> None:
    chance = random.Random(6)
    sets, rows = [], []
    for place in range(SETS):
        groups = [[coarse(chance, size, "0.1") for _ in range(2)] for size in chance.sample(range(3, 12), 2)]
        sets.append(groups)
        for name, (y, x) in zip("ba", groups, strict=True):
            rows += [{"set": place, "y": first, "x": second, "g": name} for first, second in zip(y, x, strict=True)]
    ask = """ask <- function(one) { m <- lm(y ~ g + x, one)
      c(coef(m)[2], confint(m)[2, ], summary(m)$coefficients[2, 4]) }"""
    for ((y, x), (other, other_x)), theirs in zip(sets, in_r(tmp_path, rows, ask), strict=True):
        assert same(ends(ancova(y, other, x, other_x)), theirs), (y, x, other, other_x)


def test_rates(tmp_path: Path) -> None:
    chance = random.Random(7)
    pairs = [
        [Events(chance.choice([0, 0, 1, 2, 5, 30]), Decimal(chance.randint(1, 500)) / 10) for _ in range(2)]
        for _ in range(2 * SETS)
    ]
    pairs = [pair for pair in pairs if pair[1].number]
    assert len(pairs) >= LEAST
    rows = [{"set": p, "a": a.number, "s": a.of, "b": b.number, "t": b.of} for p, (a, b) in enumerate(pairs)]
    ask = """ask <- function(one) with(one, { r <- poisson.test(a, s); q <- poisson.test(c(a, b), c(s, t))
      c(r$estimate, r$conf.int, q$estimate, q$conf.int, q$p.value) })"""
    for pair, theirs in zip(pairs, in_r(tmp_path, rows, ask), strict=True):
        assert same([*ends(rate(pair[0]))[:3], *ends(rate_ratio(*pair))], theirs, 1e-6), pair


def test_holm_and_hochberg(tmp_path: Path) -> None:
    chance = random.Random(8)
    sets = [[chance.choice([0.0, 0.01, 0.02, 0.3, 1.0, chance.random() / 10]) for _ in range(6)] for _ in range(SETS)]
    rows = [{"set": place, "p": p} for place, ps in enumerate(sets) for p in ps]
    ask = 'ask <- function(one) c(p.adjust(one$p, "holm"), p.adjust(one$p, "hochberg"))'
    for ps, theirs in zip(sets, in_r(tmp_path, rows, ask), strict=True):
        assert same([*holm(ps), *hochberg(ps)], theirs), ps


def lives(seed: int, arms: int) -> list[list[list[Time]]]:
    chance = random.Random(seed)
    sizes = range(1, 14)
    return [
        [
            [Time(chance.randint(1, 12), chance.random() < 0.7) for _ in range(chance.choice(sizes))]
            for _ in range(arms)
        ]
        for _ in range(SETS)
    ]


def test_kaplan_meier(tmp_path: Path) -> None:
    sets = [arm for [arm] in lives(9, 1)]
    rows = [{"set": place, "t": t.days, "e": int(t.event)} for place, times in enumerate(sets) for t in times]
    ask = """ask <- function(one) { f <- survfit(Surv(t, e) ~ 1, one, conf.type = "log-log")
      s <- summary(f, times = c(3, 8), extend = TRUE); q <- quantile(f, 0.5)
      c(q$quantile, q$lower, q$upper, s$surv, s$lower, s$upper) }"""
    for times, theirs in zip(sets, in_r(tmp_path, rows, ask, ["survival"]), strict=True):
        assert near(median_time(times).estimate, theirs[0]), times
        if not math.isnan(theirs[1]):
            assert same(ends(median_time(times))[1:3], theirs[1:3]), times
        for place, day in enumerate((3, 8)):
            ours, (height, low, high) = survival_at(times, day), theirs[3 + place :: 2]
            if ours.estimate is None:
                assert max(times).days < day
                continue
            assert near(ours.estimate, 100 * height), times
            if ours.low is not None:
                assert same([ours.low, ours.high], [100 * low, 100 * high], 1e-6), times
            else:
                assert math.isnan(low) or height in (0, 1)


@pytest.mark.parametrize("arms", [2, 3])
def test_log_rank(arms: int, tmp_path: Path) -> None:
    sets = lives(10, arms)
    rows = [
        {"set": place, "t": t.days, "e": int(t.event), "arm": arm}
        for place, every in enumerate(sets)
        for arm, times in enumerate(every)
        for t in times
    ]
    ask = """ask <- function(one) { s <- try(survdiff(Surv(t, e) ~ arm, one), silent = TRUE)
      if (inherits(s, "try-error")) c(NA, NA) else c(s$chisq, s$pvalue) }"""
    told = 0
    for every, (chi, p) in zip(sets, in_r(tmp_path, rows, ask, ["survival"]), strict=True):
        ours = log_rank(every)
        if ours.p is None:
            assert math.isnan(chi) or chi == 0 or math.isnan(p), every
            continue
        told += 1
        assert same([ours.estimate, ours.p], [chi, p], 1e-6), every
    assert told >= LEAST


def visits(seed: int) -> list[list[Value]]:
    chance = random.Random(seed)
    sets = []
    while len(sets) < SETS:
        spread = chance.choice([0.0, 1.0, 4.0])
        values = []
        for subject in range(chance.randint(8, 14)):
            own = chance.gauss(0, spread)
            for visit in range(3):
                if chance.random() < 0.9:
                    number = round(own + visit * (1 + subject % 2) + chance.gauss(0, 1.5))
                    values.append(Value(f"S{subject:02}", subject % 2, visit, float(number)))
        if len({(value.arm, value.visit) for value in values}) == 6:
            sets.append(values)
    return sets


def test_mixed_model(tmp_path: Path) -> None:
    sets = visits(11)
    rows = [
        {"set": place, "s": v.subject, "arm": f"a{v.arm}", "visit": f"v{v.visit}", "y": v.number}
        for place, values in enumerate(sets)
        for v in values
    ]
    ask = """ask <- function(one) { m <- try(lme(y ~ visit * arm, random = ~ 1 | s, one,
        control = lmeControl(msTol = 1e-12, tolerance = 1e-10)), silent = TRUE)
      if (inherits(m, "try-error")) return(rep(NA, 11))
      a <- anova(m, Terms = "visit:arm", type = "marginal"); c <- summary(m)$tTable
      both <- anova(m, L = rbind(c(0,1,0,0,0,0), c(0,0,1,0,0,0), c(0,1,0,0,1,0), c(0,0,1,0,0,1)))
      c(c[2, 1], c[2, 2], c[2, 3 + 2], c[3, 1], c[3, 5], -c[5, 1], c[5, 5], -c[6, 1], c[6, 5], a$p, both$p) }"""
    compared = 0
    for values, theirs in zip(sets, in_r(tmp_path, rows, ask, ["nlme"]), strict=True):
        try:
            model = fit(values, 2, 3)
        except NotEvaluableError:
            continue
        if math.isnan(theirs[0]):
            continue
        compared += 1
        first, second = [result for arm, _, result in changes(model) if arm == 0]
        one, two = [result for _, result in differences(model)]
        ours = [first.estimate, float(model.covariance[1, 1]) ** 0.5, first.p, second.estimate, second.p]
        ours += [one.estimate, one.p, two.estimate, two.p, interaction(model).p, visit_effect(model).p]
        assert same(ours, theirs, 1e-4), (values, ours, theirs)
    assert compared >= LEAST
