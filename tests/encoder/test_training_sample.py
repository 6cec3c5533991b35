"""A sample of the users, where there are more pairs than an encoder is trained on."""

import numpy as np
import pytest
from drifting import build

from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.training_data import TrainingData, sampled_share, training_data
from persona_pipeline.warehouse import Warehouse


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return build(tmp_path_factory.mktemp("drifting") / "wh")


def of(warehouse: Warehouse, max_pairs: int) -> TrainingData:
    base_model = warehouse.read("text_embeddings", ["base_model"])["base_model"][0].as_py().removesuffix("/mean")
    return training_data(warehouse, base_model, 2.0, EncodersConfig(max_pairs=max_pairs))


def users(data: TrainingData) -> set[str]:
    return set(data.pairs["user_id"].to_pylist())


def test_a_sample_has_some_users_with_all_they_have(warehouse: Warehouse) -> None:
    whole = of(warehouse, 10**6)
    total = whole.pairs.num_rows
    half = of(warehouse, total // 2)
    assert 0.25 * total < half.pairs.num_rows < 0.75 * total
    chosen = users(half)
    assert chosen < users(whole)
    for name in ("pairs", "interactions"):
        mine = [row for row in getattr(whole, name).to_pylist() if row["user_id"] in chosen]
        found = [row for row in getattr(half, name).to_pylist() if row["user_id"] in chosen]
        assert found == mine
    # What others like is counted, and every item has its embedding's hash: these serve everybody.
    assert half.liked_counts == whole.liked_counts
    assert half.profile_hashes == whole.profile_hashes
    assert half.pairs.equals(of(warehouse, total // 2).pairs)


def test_larger_samples_hold_smaller_ones(warehouse: Warehouse) -> None:
    total = of(warehouse, 10**6).pairs.num_rows
    few, more = (users(of(warehouse, total // share)) for share in (4, 2))
    assert few < more
    assert sampled_share(warehouse, total) == 1.0
    assert sampled_share(warehouse, total // 4) == pytest.approx(0.25, abs=1 / total * 4)


def test_items_nobody_of_the_sample_met_are_left_out(warehouse: Warehouse) -> None:
    whole, few = of(warehouse, 10**6), of(warehouse, 3)
    met = {*few.interactions["item_id"].to_pylist(), *few.pairs["item_id"].to_pylist()}
    assert set(few.personas["item_id"].to_pylist()) == met < set(whole.personas["item_id"].to_pylist())
    assert few.fields is not None
    np.testing.assert_array_equal(few.fields.item_ids, sorted(met))
