"""Tables to tensors, by hand on two items and three pairs."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers import Row, arrow

from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.training_examples import ItemSlots, TrainingExamples

# In no order, as a table may be.
PERSONA_IDS = np.array(["tuner-b", "strap-a", "tuner-a", "tuner-c"])
ITEMS = np.array(["tuner", "strap", "tuner", "tuner"])
EMBEDDINGS = np.array([[2, 0], [1, 0], [0, 2], [3, 3]], dtype=np.float32)
NEWEST = datetime(2024, 6, 1, tzinfo=UTC)
DAY = NEWEST.timestamp() / 86_400
REVIEWS = pa.table(
    {"interaction_id": ["r-old", "r-mid", "r-new"], "weight": [1.0] * 3, "day": [DAY - 12, DAY - 10, DAY - 1]}
)
PROFILES = np.array([[4, 0], [0, 4], [4, 4]], np.float32)


def catalogue() -> ItemSlots:
    return ItemSlots.build(PERSONA_IDS, ITEMS, EMBEDDINGS)


def pair(
    user: str,
    item: str,
    persona: str,
    history: list[str],
    masked: list[str],
    place: int = 0,
    days_ago: float = 0,
    weight: float = 1.0,
) -> Row:
    return {
        "user_id": user, "item_id": item, "interaction_id": f"{user}-{item}", "persona_id": persona,
        "label_source": "evidence", "masked_persona_ids": masked, "history_interaction_ids": history,
        "history_place": place, "reviewed_at": NEWEST - timedelta(days=days_ago), "weight": weight,
    }  # fmt: skip


def examples(age_half_life_days: float = 0) -> TrainingExamples:
    pairs = [
        pair("cleo", "tuner", "tuner-c", ["r-new", "r-mid", "r-old"], ["tuner-a"]),
        pair("ana", "strap", "strap-a", ["r-old"], [], days_ago=100),
        pair("cleo", "strap", "strap-a", ["r-mid", "r-old"], [], days_ago=50),
    ]
    return built(pairs, age_half_life_days)


def built(pairs: list[Row], age_half_life_days: float = 0, **settings: object) -> TrainingExamples:
    chosen = {"half_life": 1.0, "age_half_life_days": age_half_life_days, **settings}
    config = EncodersConfig.model_validate(chosen)
    return TrainingExamples.build(arrow("training_pairs", pairs), catalogue(), REVIEWS, PROFILES, config)


def test_catalogue_sorts_and_pads() -> None:
    found = catalogue()
    assert found.item_ids.tolist() == ["strap", "tuner"]
    assert found.persona_ids.tolist() == ["strap-a", "tuner-a", "tuner-b", "tuner-c"]
    assert found.embeddings.tolist() == [[1, 0], [0, 2], [2, 0], [3, 3]]
    assert found.slots.tolist() == [[0, 0, 0], [1, 2, 3]]
    assert found.filled.tolist() == [[True, False, False], [True, True, True]]


def test_half_lives_in_days_count_from_the_target() -> None:
    # A target of six days ago: five days after r-new, four before r-mid, six before r-old.
    pairs = [pair("cleo", "tuner", "tuner-c", ["r-new", "r-mid", "r-old"], [], place=1, days_ago=6)]
    weights = np.array([2, 4, 1]) / 7  # half-life 1, from the nearest on: 2**-1, 2**0, 2**-2
    np.testing.assert_allclose(built(pairs, recency="days").profiles.numpy()[0], weights @ PROFILES[::-1], rtol=1e-5)


def test_profiles_are_weighted_sums_of_the_history() -> None:
    # Half life 1, so weights 4/7, 2/7, 1/7, then 1, then 2/3, 1/3.
    expected = torch.tensor([[20 / 7, 24 / 7], [4, 0], [4 / 3, 8 / 3]])
    assert torch.allclose(examples().profiles, expected)


@pytest.mark.parametrize(
    ("place", "weights"),
    [(0, [4, 2, 1]), (1, [2, 2, 1]), (2, [1, 2, 2]), (3, [1, 2, 4])],  # of new, mid, old
)
def test_what_stood_next_to_the_target_weighs_most(place: int, weights: list[int]) -> None:
    new, mid, old = np.array(weights) / sum(weights)
    found = built([pair("cleo", "tuner", "tuner-c", ["r-new", "r-mid", "r-old"], [], place)])
    np.testing.assert_allclose(found.profiles.numpy(), [[4 * new + 4 * old, 4 * new + 4 * mid]], rtol=1e-6)


def test_histories_of_like_length_and_unlike_places_do_not_mix() -> None:
    history = ["r-new", "r-mid"]
    pairs = [
        pair(user, "tuner", "tuner-c", history, [], place) for user, place in (("ana", 0), ("ben", 2), ("cleo", 1))
    ]
    one_by_one = torch.cat([built([row]).profiles for row in pairs])
    assert torch.equal(built(pairs).profiles, one_by_one)
    assert len(torch.unique(one_by_one, dim=0)) == 3


def test_pairs_fade_with_age() -> None:
    assert torch.allclose(examples(50).weights, torch.tensor([1, 0.25, 0.5]))
    assert examples(0).weights.tolist() == [1, 1, 1]


def test_targets_and_labels_point_into_the_catalogue() -> None:
    found = examples()
    assert found.targets.tolist() == [1, 0, 0]
    assert found.labels.tolist() == [3, 0, 0]
    assert len(found) == 3


def test_masked_personas_are_hidden_from_their_pair_alone() -> None:
    assert examples().visible.tolist() == [[False, True, True], [True, False, False], [True, False, False]]


def test_a_user_has_one_number() -> None:
    users = examples().users.tolist()
    assert users[0] == users[2] != users[1]
