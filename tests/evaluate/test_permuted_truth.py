"""Where users' answers are dealt out anew among them, nothing personal is left to know: no model may beat popularity."""

import numpy as np
import pytest

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.collaborative.popularity import PopularityConfig, fit_popularity
from persona_pipeline.evaluate.metrics import RelevantItems, top_lists
from persona_pipeline.evaluate.results import Evaluated, evaluate
from persona_pipeline.evaluate.slices import make_slices

USERS, ITEMS, TASTES = 400, 40, 4


def world() -> tuple[Interactions, np.ndarray, np.ndarray]:
    """Interactions, what each user does next, and each user's taste: item i is of taste i % 4, low items are popular."""
    rng = np.random.default_rng(0)
    tastes = rng.integers(TASTES, size=USERS)
    weights = np.where(np.arange(ITEMS) % TASTES == tastes[:, None], 1.0, 0.05) / (1 + np.arange(ITEMS))
    drawn = np.stack([rng.choice(ITEMS, size=6, replace=False, p=row / row.sum()) for row in weights])
    users = np.repeat(np.arange(USERS), 5)
    names = [f"u{user:03}" for user in users]
    known = Interactions.build(names, [f"i{i:02}" for i in drawn[:, 1:].ravel()], [0] * len(users), catalogue())
    return known, drawn[:, 0], tastes


def catalogue() -> list[str]:
    return [f"i{i:02}" for i in range(ITEMS)]


@pytest.mark.parametrize("permuted", [False, True])
def test_a_personal_model_beats_popularity_only_where_users_keep_their_answers(permuted: bool) -> None:
    known, answers, tastes = world()
    hidden = known.matrix()
    if permuted:  # an answer lands on a user who has not met it, or every model would miss it alike
        answers = dealt_out(answers, hidden.toarray() > 0)
    popular = fit_popularity(known, PopularityConfig()).scores(known.histories(None))
    personal = popular + 1e6 * (np.arange(ITEMS) % TASTES == tastes[:, None])
    runs = [
        Evaluated(name, 0, {}, top_lists(s, hidden, 20)) for name, s in (("popular", popular), ("personal", personal))
    ]
    truth = RelevantItems(answers, np.arange(USERS + 1))
    slices = make_slices(truth, np.full(USERS, 5), known.counts())
    results = evaluate(runs, truth, slices, known.counts(), "popular")
    values = results.values["all"][:, :, results.columns.index("ndcg@10")]
    gain = (values[:, 1] - values[:, 0]).mean()
    assert gain < 0 if permuted else gain > 0.2


def dealt_out(answers: np.ndarray, met: np.ndarray) -> np.ndarray:
    """The answers permuted among users, swapped on until nobody is dealt an item they met."""
    rng = np.random.default_rng(1)
    dealt = rng.permutation(answers)
    while len(wrong := np.flatnonzero(met[np.arange(USERS), dealt])):
        others = rng.integers(USERS, size=len(wrong))
        for one, other in zip(wrong, others, strict=True):
            dealt[[one, other]] = dealt[[other, one]]
    assert sorted(dealt) == sorted(answers)
    return dealt
