"""Intervals that cover as often as they say, comparisons of pairs, and Holm's correction by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_pipeline.evaluate import significance
from persona_pipeline.evaluate.significance import bootstrap_means, compare, estimate, holm


def test_covers_the_truth_as_often_as_it_says() -> None:
    """400 samples of 100 users with a hit rate of .3: about 380 intervals hold it."""
    hits = (np.random.default_rng(1).random((100, 400)) < 0.3).astype(float)
    found = estimate(hits, draws=1_000)
    assert 0.92 <= ((found.low <= 0.3) & (found.high >= 0.3)).mean() <= 0.97
    assert (found.value == hits.mean(axis=0)).all()


def test_as_wide_as_the_normal_approximation() -> None:
    values = np.random.default_rng(2).random(2_000)
    found = estimate(values)
    assert float(found.high - found.low) == pytest.approx(2 * 1.96 * values.std() / np.sqrt(2_000), rel=0.1)


def test_false_alarms_are_as_rare_as_the_level() -> None:
    rng = np.random.default_rng(3)
    found = compare(rng.random((150, 400)), rng.random((150, 400)), draws=1_000)
    assert 0.02 <= (found.p_value <= 0.05).mean() <= 0.09


def test_pairs_tell_what_means_alone_cannot() -> None:
    users = np.random.default_rng(4).random(300)
    found = compare(users + 0.01, users)
    assert (float(found.low), float(found.high)) == pytest.approx((0.01, 0.01))
    assert float(found.p_value) == pytest.approx(2 / 2_001)
    assert float(estimate(users).high - estimate(users).low) > 0.05


def test_equals_do_not_differ() -> None:
    values = np.random.default_rng(5).random((40, 3))
    found = compare(values, values)
    assert (found.p_value == 1).all()
    assert (found.low == 0).all()
    assert (found.high == 0).all()


def test_better_one_way_is_worse_the_other() -> None:
    one, other = np.random.default_rng(6).random((2, 50))
    there, back = compare(one, other), compare(other, one)
    assert float(there.p_value) == float(back.p_value)
    assert [float(there.low), float(there.high)] == pytest.approx([-float(back.high), -float(back.low)])


def test_same_seed_same_figures_and_a_column_alone_is_as_among_others() -> None:
    values = np.random.default_rng(7).random((60, 4))
    assert (bootstrap_means(values, 50, 1) == bootstrap_means(values, 50, 1)).all()
    assert not np.allclose(bootstrap_means(values, 50, 1), bootstrap_means(values, 50, 2))
    assert estimate(values[:, 2]).low == pytest.approx(estimate(values).low[2])


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(8).random((60, 2))
    whole = bootstrap_means(values, 50, 1)
    monkeypatch.setattr(significance, "_BLOCK", 61)
    assert bootstrap_means(values, 50, 1) == pytest.approx(whole)


def test_nobody_and_strangers() -> None:
    with pytest.raises(ValueError, match="no mean of no users"):
        estimate(np.empty((0, 2)))
    with pytest.raises(ValueError, match="3 and 4 users cannot be paired"):
        compare(np.ones(3), np.ones(4))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]).tolist() == [1, 1]
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_between_no_correction_and_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert (adjusted >= np.array(p_values)).all()
    assert (adjusted <= np.minimum(1, np.array(p_values) * len(p_values))).all()
    assert (np.argsort(adjusted[np.argsort(p_values)], kind="stable") == np.arange(len(p_values))).all()
