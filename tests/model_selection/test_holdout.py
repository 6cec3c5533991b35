"""What a refit must not know, by hand: two users, one of whom has no pair for the newest."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from drifting import USERS, build
from helpers import Row, arrow

from persona_pipeline.collaborative.interactions import Interactions
from persona_pipeline.config import EncodersConfig, TextEmbeddingsConfig
from persona_pipeline.embeddings.cache import Embedder
from persona_pipeline.encoder.cf_prior import liked_interactions
from persona_pipeline.encoder.training_data import TrainingData, training_data
from persona_pipeline.model_selection.holdout import hold_out


def pair(user: str, item: str, history: list[str], place: int, masked: tuple[str, ...] = ()) -> Row:
    return {
        "user_id": user, "item_id": item, "interaction_id": f"{user}-{item}", "persona_id": f"{item}-1",
        "label_source": "evidence", "masked_persona_ids": list(masked),
        "reviewed_at": datetime(2024, 6, 1, tzinfo=UTC),
        "history_interaction_ids": [f"{user}-{other}" for other in history], "history_place": place, "weight": 1.0,
    }  # fmt: skip


PAIRS = [
    pair("ana", "tuner", ["strap", "capo"], 0, masked=("tuner-2",)),
    pair("ana", "strap", ["tuner", "capo"], 1),
    pair("ana", "capo", ["tuner", "strap"], 2),
    pair("ben", "capo", ["picks"], 1),  # the newest, picks, has no persona
    pair("cleo", "tuner", ["strap"], 0),
    pair("cleo", "strap", ["tuner"], 1),
]
MET = [
    *(("ana", item) for item in ("tuner", "strap", "capo")),
    *(("ben", item) for item in ("picks", "capo")),
    *(("cleo", item) for item in ("tuner", "strap")),
]


def data() -> TrainingData:
    users, items = zip(*MET, strict=True)
    met = pa.table(
        {
            "user_id": users,
            "interaction_id": [f"{u}-{i}" for u, i in MET],
            "item_id": items,
            "weight": [1.0] * len(MET),
            "day": range(len(MET), 0, -1),
        }
    )
    none = np.zeros((0, 2), np.float32)
    counts = {"tuner": 2, "strap": 2, "capo": 2, "picks": 1}
    personas = pa.table({"persona_id": [], "item_id": []})
    profiles = np.arange(2 * len(MET), dtype=np.float32).reshape(-1, 2)
    return TrainingData(arrow("training_pairs", PAIRS), personas, none, none, met, profiles, counts)


def interactions() -> Interactions:
    oldest_first = MET[::-1]
    return Interactions.build([u for u, _ in oldest_first], [i for _, i in oldest_first], list(range(len(MET))))


def test_the_newest_goes_from_everywhere() -> None:
    parts = hold_out(data(), interactions())
    assert parts.newest.to_pylist() == [
        {
            "user_id": "ana",
            "item_id": "tuner",
            "interaction_id": "ana-tuner",
            "weight": 1.0,
            "masked_persona_ids": ["tuner-2"],
        },
        {
            "user_id": "cleo",
            "item_id": "tuner",
            "interaction_id": "cleo-tuner",
            "weight": 1.0,
            "masked_persona_ids": [],
        },
    ]
    columns = ["user_id", "item_id", "history_interaction_ids", "history_place"]
    assert [tuple(row.values()) for row in parts.data.pairs.select(columns).to_pylist()] == [
        ("ana", "strap", ["ana-capo"], 0),
        ("ana", "capo", ["ana-strap"], 1),
        ("ben", "capo", ["ben-picks"], 1),  # who is not asked keeps all
    ]  # cleo's other pair has no history left
    assert parts.data.interactions["interaction_id"].to_pylist() == [
        "ana-strap", "ana-capo", "ben-picks", "ben-capo", "cleo-strap"
    ]  # fmt: skip
    np.testing.assert_array_equal(parts.data.interaction_profiles[:, 0], [2, 4, 6, 8, 12])
    assert parts.data.liked_counts == {"tuner": 0, "strap": 2, "capo": 2, "picks": 1}
    left = parts.interactions
    assert sorted(zip(left.user_ids[left.users], left.item_ids[left.items], strict=True)) == sorted(
        set(MET) - {("ana", "tuner"), ("cleo", "tuner")}
    )


def test_what_goes_in_is_left_alone() -> None:
    before = data()
    hold_out(before, interactions())
    assert before.pairs.equals(arrow("training_pairs", PAIRS))
    assert before.liked_counts["tuner"] == 2


def test_each_user_of_the_shop_is_asked_about_the_newest(tmp_path: Path) -> None:
    shop = build(tmp_path / "warehouse")
    base_model = Embedder(TextEmbeddingsConfig(), shop).base_model
    parts = hold_out(training_data(shop, base_model, 4.0, EncodersConfig()), liked_interactions(shop, 4.0))
    sql = "SELECT max_by(review_id, reviewed_at) AS review_id FROM reviews GROUP BY user_id ORDER BY review_id"
    assert sorted(parts.newest["interaction_id"].to_pylist()) == shop.query(sql, ["reviews"])["review_id"].to_pylist()
    assert parts.data.pairs.num_rows == 6 * USERS
    assert parts.data.pairs.schema.names == arrow("training_pairs", PAIRS).schema.names
