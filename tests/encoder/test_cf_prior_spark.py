"""The prior by Spark is the prior in memory: same items, same neighbours, same similarities."""

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from helpers import Row, put, reviews
from pyspark.sql import SparkSession

from persona_pipeline.aggregate import met
from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.cf_prior import Prior, liked_interactions
from persona_pipeline.encoder.cf_prior_spark import spark_prior
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.spark_tables import SparkWarehouse

REAL = Path(__file__).parents[3] / "shared/data/amazon_musical_instruments/Musical_Instruments_5.json.gz"
LIKED = 2.0


def both(
    spark: SparkSession, folder: Path, rows: list[Row], config: EncodersConfig, events: Sequence[Row] = ()
) -> tuple[Prior, Prior]:
    """The prior in memory and that by Spark, of the same tables."""
    warehouse = Warehouse(folder)
    put(warehouse, "reviews", rows)
    put(warehouse, "interactions", events)
    in_memory = Prior.fit(liked_interactions(warehouse, LIKED), config)
    tables = SparkWarehouse(spark, warehouse)
    return in_memory, spark_prior(met(tables.read("reviews"), tables.read("interactions")), LIKED, config)


def require_same(in_memory: Prior, found: Prior) -> None:
    """Equal ids, equal places, equal values to a billionth."""
    assert found.item_ids.tolist() == in_memory.item_ids.tolist()
    ours, theirs = found.similarities.tocoo(), in_memory.similarities.tocoo()
    assert set(zip(*ours.coords, strict=True)) == set(zip(*theirs.coords, strict=True))
    np.testing.assert_allclose(found.similarities.toarray(), in_memory.similarities.toarray(), atol=1e-9, rtol=0)


def real_reviews() -> list[Row]:
    """Amazon's Musical Instruments; times are whole days, so that the input's order decides within a day."""
    if not REAL.exists():
        pytest.skip(f"no sample at {REAL}")
    lines = [json.loads(line) for line in gzip.decompress(REAL.read_bytes()).splitlines()]
    return [
        {**reviews()[0], "review_id": str(n), "user_id": line["reviewerID"], "item_id": line["asin"],
         "rating": line["overall"], "source_line": n, "reviewed_at": datetime.fromtimestamp(line["unixReviewTime"], UTC)}
        for n, line in enumerate(lines, start=1)
    ]  # fmt: skip


def tied_at(prior: Prior, place: int) -> int:
    """Items whose neighbours at this place and the next, from 1, are equally similar."""
    rows = np.sort(prior.similarities.toarray(), axis=1)[:, ::-1]
    return int(((rows[:, place] > 0) & (np.abs(rows[:, place - 1] - rows[:, place]) < 1e-9)).sum())


@pytest.mark.parametrize("ageing", [0.0, 730.0])
def test_real_reviews_make_the_same_prior(spark: SparkSession, tmp_path: Path, ageing: float) -> None:
    config = EncodersConfig(prior="prox_knn", prior_neighbours=20, age_half_life_days=ageing)
    require_same(*both(spark, tmp_path, real_reviews(), config))
    if not ageing:
        # Or the order among equals would decide nothing here.
        wider = config.model_copy(update={"prior_neighbours": 21})
        assert tied_at(Prior.fit(liked_interactions(Warehouse(tmp_path), LIKED), wider), 20) > 20


def test_histories_longer_than_the_reach_and_reviews_not_liked(spark: SparkSession, tmp_path: Path) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [
        {**reviews()[0], "review_id": f"{user}-{n}", "user_id": user, "item_id": f"item-{n:03}", "source_line": n,
         "reviewed_at": start + timedelta(days=n), "rating": rating}
        for user, rating in (("ana", 5.0), ("ben", 4.0), ("cleo", 1.0)) for n in range(80)
    ]  # fmt: skip
    config = EncodersConfig(prior="prox_knn", age_half_life_days=0)
    in_memory, found = both(spark, tmp_path, rows, config)
    require_same(in_memory, found)
    assert np.flatnonzero(found.similarities.toarray()[0]).tolist() == list(range(1, 51))


def test_nothing_liked_is_no_prior(spark: SparkSession, tmp_path: Path) -> None:
    _, found = both(spark, tmp_path, [{**row, "rating": 1.0} for row in reviews()], EncodersConfig(prior="prox_knn"))
    assert found.similarities.shape == (0, 0)


def test_events_count_by_their_weight(spark: SparkSession, tmp_path: Path) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    weights = {"c": 0.25, "d": 1.0, "e": -1.0}
    events = [
        {"interaction_id": f"event:{user}-{item}", "user_id": user, "item_id": item, "kind": "k", "weight": weight,
         "occurred_at": start + timedelta(days=n), "source_file": "events", "source_line": n}
        for user in ("ana", "ben") for n, (item, weight) in enumerate(weights.items(), start=1)
    ]  # fmt: skip
    rows = [
        {**reviews()[0], "review_id": f"{user}-a", "user_id": user, "item_id": "a", "reviewed_at": start, "rating": 5.0}
        for user in ("ana", "ben")
    ]
    config = EncodersConfig(prior="prox_knn", age_half_life_days=0)
    in_memory, found = both(spark, tmp_path, rows, config, events)
    require_same(in_memory, found)
    assert found.item_ids.tolist() == ["a", "c", "d"]  # what was disliked is no neighbour
    # Of items one step apart: 2 x .25 / (sqrt 2 x sqrt (2 / 16) + 5); two steps, of full weight: 2 x .5 ** (1 / 5) / (2 + 5).
    weak, strong = 0.5 / (0.5 + 5), 2 * 0.5**0.2 / 7
    table = found.similarities.toarray()
    assert table[0, 1] / table[0, 2] == pytest.approx(weak / strong)
