"""Mixtures of what personas say with popularity and a prior: which are as good as the best, and their middle."""

import numpy as np

from persona_pipeline.config import EncodersConfig
from persona_pipeline.model_selection.score_fusion import Mixture, Mixtures, middle_of


def test_the_middle_of_mixtures_by_hand() -> None:
    config = EncodersConfig()

    def mixture(popularity: float, prior: str, weight: float) -> Mixture:
        return {"popularity_weight": popularity, "prior": prior, "prior_weight": weight}

    assert middle_of([mixture(1.0, "none", 0.0)], config) == mixture(1.0, "none", 0.0)
    # One without a prior counts as its weight 0, on a logarithmic scale: (1 + 3)(1 + 0), its root less 1.
    assert middle_of([mixture(0.5, "ease", 3.0), mixture(1.0, "none", 0.0)], config) == mixture(0.75, "ease", 1.0)
    # Of two kinds the best one's; the commoner where that has none, and none where most have none.
    three = [mixture(0.5, "ease", 1.0), mixture(0.5, "prox_knn", 1.0), mixture(1.0, "prox_knn", 1.0)]
    assert middle_of(three, config) == mixture(0.5, "ease", 1.0)
    bare = [mixture(1.0, "none", 0.0), mixture(0.0, "none", 0.0)]
    assert middle_of([bare[1], *three], config) == mixture(0.5, "prox_knn", 0.587)
    assert middle_of([*bare, three[0]], config) == mixture(0.5, "none", 0.0)
    # A weight that the configuration says is left at it.
    fixed = config.model_copy(update={"tuned": ("prior",)})
    assert middle_of([mixture(0.5, "ease", 3.0), mixture(0.5, "none", 0.0)], fixed) == mixture(0.5, "ease", 3.0)


def test_what_cannot_be_told_from_the_best_is_as_good() -> None:
    best = np.tile([0.0, 1.0], 200)
    values = np.stack([best, best - 0.2, np.roll(best, 1)])
    assert Mixtures([{}, {}, {}], values).as_good(1.5) == [0, 2]
    assert Mixtures([{}, {}, {}], values[::-1]).as_good(1.5) == [0, 2]
    assert Mixtures([{}, {}, {}], values + np.array([[0.0], [0.0], [0.001]])).as_good(1.5) == [2, 0]
