"""Which candidates replace the served encoder."""

import numpy as np
import pytest

from persona_pipeline.model_selection.gate import gate_verdict

USERS = 1_000
RNG = np.random.default_rng(0)
SERVED = RNG.random(USERS)
NOISE = RNG.normal(0, 0.05, USERS)
NOISE -= NOISE.mean()
FIRST = {count: np.arange(USERS) < count for count in (199, 200, 300)}


def test_better_is_promoted() -> None:
    verdict = gate_verdict(SERVED, SERVED + 0.02 + NOISE, {"cold": FIRST[300]}, margin=0)
    assert verdict.promoted
    assert verdict.difference == pytest.approx(0.02)
    assert 0.01 < verdict.low < 0.02 < verdict.high < 0.03
    assert verdict.reasons == [
        f"NDCG@10 of 1,000 users: {SERVED.mean() + 0.02:.4f} against {SERVED.mean():.4f} served, difference +0.0200 "
        f"(95% interval {verdict.low:+.4f} to {verdict.high:+.4f}); its lower end is above 0.0000",
        "no slice of 200 users or more is significantly worse (cold)",
    ]


def test_the_same_is_promoted_within_a_margin_and_refused_without() -> None:
    assert gate_verdict(SERVED, SERVED, {}, margin=0.001).promoted
    assert not gate_verdict(SERVED, SERVED, {}, margin=0).promoted


@pytest.mark.parametrize(("margin", "promoted"), [(0.02, True), (0.01, False)])
def test_the_margin_is_held_against_the_lower_end(margin: float, promoted: bool) -> None:
    """The difference, -.01, is within both margins; its interval, about -.013 to -.007, in one of them."""
    verdict = gate_verdict(SERVED, SERVED - 0.01 + NOISE, {}, margin)
    assert verdict.promoted is promoted
    assert f"{'above' if promoted else 'not above'} -{margin:.4f}" in verdict.reasons[0]


def test_a_slice_that_pays_refuses_what_is_better_overall() -> None:
    candidate = SERVED + 0.1 + NOISE - 0.2 * FIRST[200]
    verdict = gate_verdict(SERVED, candidate, {"cold": FIRST[200], "warm": ~FIRST[200]}, margin=0)
    assert verdict.low > 0
    assert not verdict.promoted
    assert [(part.name, part.worse) for part in verdict.slices] == [("cold", True), ("warm", False)]
    assert verdict.reasons[1].startswith("slice cold (200 users) is significantly worse: -0.")


def test_a_slice_too_small_is_not_judged() -> None:
    candidate = SERVED + 0.1 + NOISE - 0.2 * FIRST[199]
    verdict = gate_verdict(SERVED, candidate, {"cold": FIRST[199]}, margin=0)
    assert verdict.promoted
    assert verdict.slices == ()
    assert verdict.reasons[1] == "no slice of 200 users or more is significantly worse (none is that large)"


def test_everybody_is_judged_by_the_margin() -> None:
    worse = SERVED - 0.001
    assert gate_verdict(SERVED, worse, {"all": np.ones(USERS, dtype=bool)}, margin=0.01).promoted


def test_many_slices_are_corrected_for() -> None:
    """A slice worse at p = .03 alone stands, and falls among four more that tell nothing."""
    one = {"cold": FIRST[200]}
    others = {f"slice {n}": np.arange(USERS) // 200 == n for n in range(1, 5)}
    spread = RNG.normal(0, 0.1, USERS)
    for part in [*one.values(), *others.values()]:
        spread[part] -= spread[part].mean()
    spread[FIRST[200]] -= 2.2 * spread[FIRST[200]].std() / np.sqrt(200)
    assert not gate_verdict(SERVED, SERVED + spread, one, margin=1).promoted
    assert gate_verdict(SERVED, SERVED + spread, one | others, margin=1).promoted


def test_nobody_speaks_for_it() -> None:
    verdict = gate_verdict(np.empty(0), np.empty(0), {}, margin=1)
    assert not verdict.promoted
    assert verdict.reasons == ["no user to compare the encoders on"]
