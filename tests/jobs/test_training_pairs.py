"""The job `training_pairs` on the shop: who somebody was when they liked an item, never told by that review alone."""

from typing import TYPE_CHECKING

import pytest
from helpers import Row, put, shop, span
from one_run import kept, opened, without, written

from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def two_of_the_strap(warehouse: Warehouse) -> Warehouse:
    """The gigging players rest on ben's review too; the parents on ben's alone. All others rest on one review each."""
    rows = shop()["item_personas"]
    (told,) = (row["text"] for row in shop()["reviews"] if row["review_id"] == "ben-strap")
    rows[0]["evidence"].append(span(told, "She loves it", "ben-strap"))
    put(warehouse, "item_personas", rows)
    return without(warehouse, "training_pairs")


def test_what_rests_on_the_review_itself_is_masked(two_of_the_strap: Warehouse, spark: "SparkSession") -> None:
    run = opened(two_of_the_strap, training_pairs={"min_liked_rating": 4.0})
    summary = run.do("training_pairs")
    pairs: dict[tuple[str, str], Row] = {
        (row["user_id"], row["item_id"]): row for row in kept(two_of_the_strap, "training_pairs")
    }
    # Cleo's and ana's tuner: the musicians rest on what ana wrote, which is no pair for her; likewise the others.
    assert set(pairs) == {("ana", "strap"), ("ben", "strap"), ("ana", "strings"), ("cleo", "capo"), ("cleo", "tuner")}
    ben = pairs["ben", "strap"]
    assert (ben["persona_id"], ben["label_source"], ben["masked_persona_ids"]) == ("strap-1", "evidence", ["strap-2"])
    assert (ben["interaction_id"], ben["history_interaction_ids"], ben["history_place"]) == (
        "ben-strap",
        ["ben-capo"],
        1,
    )
    ana = pairs["ana", "strap"]
    assert (ana["persona_id"], ana["label_source"], ana["masked_persona_ids"]) == ("strap-1", "evidence", [])
    assert (ana["history_interaction_ids"], ana["history_place"]) == (["ana-strings", "ana-tuner"], 2)
    # The shop's one choice of an LLM is about cleo's capo.
    assert {key: row["label_source"] for key, row in pairs.items() if row["label_source"] != "evidence"} == {
        ("cleo", "capo"): "judge",
        ("cleo", "tuner"): "similarity",
        ("ana", "strings"): "similarity",
    }
    assert summary["labels"] == {"evidence": 2, "judge": 1, "similarity": 2}
    # Only ana had a choice.
    assert summary["agreement"]["evidence_similarity"]["pairs"] == 1
    assert summary["agreement"]["evidence_judge"] == {"pairs": 0, "agree": 0}
    assert written(summary) == {"training_pairs": (5, 0, 0)}
    run.again("training_pairs")


def test_vectors_of_another_base_label_nothing(two_of_the_strap: Warehouse, spark: "SparkSession") -> None:
    rows = [{**row, "base_model": "other@1:256"} for row in kept(two_of_the_strap, "text_embeddings")]
    put(two_of_the_strap, "text_embeddings", rows)
    summary = opened(two_of_the_strap).do("training_pairs")
    assert (summary["labels"], kept(two_of_the_strap, "training_pairs")) == ({}, [])
