"""Tables to tensors, by hand on two items and three pairs."""

from datetime import UTC, datetime

import numpy as np
import torch
from helpers import Row, arrow

from persona_pipeline.encoder.lessons import Catalogue, Lessons

# In no order, as a table may be.
PERSONA_IDS = np.array(["tuner-b", "strap-a", "tuner-a", "tuner-c"])
ITEMS = np.array(["tuner", "strap", "tuner", "tuner"])
EMBEDDINGS = np.array([[2, 0], [1, 0], [0, 2], [3, 3]], dtype=np.float32)
INTERACTIONS = {
    "r-old": np.array([4, 0], np.float32),
    "r-mid": np.array([0, 4], np.float32),
    "r-new": np.array([4, 4], np.float32),
}


def catalogue() -> Catalogue:
    return Catalogue.build(PERSONA_IDS, ITEMS, EMBEDDINGS)


def pair(user: str, item: str, persona: str, history: list[str], masked: list[str]) -> Row:
    return {
        "user_id": user, "item_id": item, "review_id": f"{user}-{item}", "persona_id": persona,
        "label_source": "evidence", "masked_persona_ids": masked, "history_review_ids": history,
        "history_cutoff": datetime(2024, 6, 1, tzinfo=UTC),
    }  # fmt: skip


def lessons() -> Lessons:
    pairs = [
        pair("cleo", "tuner", "tuner-c", ["r-new", "r-mid", "r-old"], ["tuner-a"]),
        pair("ana", "strap", "strap-a", ["r-old"], []),
        pair("cleo", "strap", "strap-a", ["r-mid", "r-old"], []),
    ]
    return Lessons.build(arrow("training_pairs", pairs), catalogue(), INTERACTIONS, half_life=1.0)


def test_catalogue_sorts_and_pads() -> None:
    found = catalogue()
    assert found.item_ids.tolist() == ["strap", "tuner"]
    assert found.persona_ids.tolist() == ["strap-a", "tuner-a", "tuner-b", "tuner-c"]
    assert found.embeddings.tolist() == [[1, 0], [0, 2], [2, 0], [3, 3]]
    assert found.slots.tolist() == [[0, 0, 0], [1, 2, 3]]
    assert found.filled.tolist() == [[True, False, False], [True, True, True]]


def test_profiles_are_weighted_sums_of_the_history() -> None:
    # Half life 1, so weights 4/7, 2/7, 1/7, then 1, then 2/3, 1/3.
    expected = torch.tensor([[20 / 7, 24 / 7], [4, 0], [4 / 3, 8 / 3]])
    assert torch.allclose(lessons().profiles, expected)


def test_targets_and_labels_point_into_the_catalogue() -> None:
    found = lessons()
    assert found.targets.tolist() == [1, 0, 0]
    assert found.labels.tolist() == [3, 0, 0]
    assert len(found) == 3


def test_masked_personas_are_hidden_from_their_pair_alone() -> None:
    assert lessons().visible.tolist() == [[False, True, True], [True, False, False], [True, False, False]]


def test_a_user_has_one_number() -> None:
    users = lessons().users.tolist()
    assert users[0] == users[2] != users[1]
