"""Published figures of plain models on Musical Instruments: leave-last-out, full catalogue, all interactions positive."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from persona_pipeline.collaborative.ease import EaseConfig, fit_ease
from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.collaborative.model import Model
from persona_pipeline.collaborative.popularity import PopularityConfig, fit_popularity
from persona_pipeline.evaluate.metrics import RelevantItems, per_user, top_lists

REAL = Path(__file__).parents[3] / "shared/data/amazon_musical_instruments/Musical_Instruments_5.json.gz"


@pytest.fixture(scope="module")
def world() -> Interactions:
    if not REAL.exists():
        pytest.skip(f"no sample at {REAL}")
    reviews = [json.loads(line) for line in gzip.decompress(REAL.read_bytes()).splitlines()]
    reviews.sort(key=lambda review: review["unixReviewTime"])
    users, items, times = ([r[key] for r in reviews] for key in ("reviewerID", "asin", "unixReviewTime"))
    return Interactions.build(users, items, np.array(times) // 86_400)


def popularity(known: Interactions) -> Model:
    return fit_popularity(known, PopularityConfig())


def ease(known: Interactions) -> Model:
    return fit_ease(known, EaseConfig(l2=500))


@pytest.mark.parametrize(("fit", "ndcg", "hit"), [(popularity, 0.0755, 0.1463), (ease, 0.0895, 0.1627)])
def test_reference_figures(world: Interactions, fit: Callable[[Interactions], Model], ndcg: float, hit: float) -> None:
    last = (world.recency() == 0) & (np.bincount(world.users)[world.users] > 1)
    known, users, items = world.without(last), world.users[last], world.items[last]
    assert len(users) == 1217
    met = known.matrix()[users]
    values = per_user(top_lists(fit(known).scores(met), met, 10), RelevantItems(items, np.arange(1218)), [10])
    assert values["ndcg@10"].mean() == pytest.approx(ndcg, abs=5e-5)
    assert values["hit@10"].mean() == pytest.approx(hit, abs=5e-5)
