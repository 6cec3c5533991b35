"""Who a user was when they liked an item: evidence first, else the judge, else nearest text, never what only they said."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from persona_pipeline.embeddings.cache import text_hash
from persona_pipeline.encoder.texts import render_personas

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

START = datetime(2024, 1, 1, tzinfo=UTC)


_MET = "struct<interaction_id:string,review_id:string,item_id:string,kind:string,rating:double,weight:double,reviewed_at:timestamp>"


def reviewed(review: str, item: str, rating: float, when: datetime) -> tuple[Any, ...]:
    return (review, review, item, "review", rating, 1.0, when)


def happened(event: str, item: str, kind: str, weight: float) -> tuple[Any, ...]:
    return (f"event:{event}", None, item, kind, None, weight, START)


def persona(persona_id: str, item: str, position: int, *reviews: str) -> tuple[Any, ...]:
    evidence = [("review", review, 0, 3, "abc") for review in reviews]
    stance = "dislikes" if persona_id == "p2x" else "likes"
    return (persona_id, item, "current", position, f"name {persona_id}", "d", "r", evidence, stance)


@pytest.fixture(scope="module")
def found(spark: "SparkSession") -> "DataFrame":
    from persona_pipeline.encoder.pairing import training_pairs

    histories = spark.createDataFrame(
        [
            # newest first; ua's disliked review of i9 is neither history nor target, and takes no place
            (
                "ua",
                [
                    reviewed("a3", "i3", 5.0, START + timedelta(days=3)),
                    reviewed("a9", "i9", 1.0, START),
                    reviewed("a2", "i2", 4.0, START + timedelta(days=2)),
                    reviewed("a1", "i1", 5.0, START),
                ],
            ),
            ("ub", [reviewed("b3", "i3", 5.0, START), reviewed("b1", "i1", 5.0, START)]),
            ("uc", [reviewed("c4", "i4", 5.0, START), reviewed("c1", "i1", 5.0, START)]),
            ("ud", [reviewed("d3", "i3", 5.0, START), reviewed("d1", "i1", 5.0, START)]),
            ("ue", [reviewed("e3", "i3", 5.0, START), reviewed("e1", "i1", 5.0, START)]),
            ("lonely", [reviewed("l1", "i1", 5.0, START)]),
            # uf wrote nothing: bought two, and sent a third back
            (
                "uf",
                [
                    happened("f3", "i3", "play", 0.25),
                    happened("f2", "i2", "return", -1.0),
                    happened("f1", "i1", "buy", 1.0),
                ],
            ),
        ],
        f"user_id string, interactions array<{_MET}>",
    )
    personas = spark.createDataFrame(
        [
            persona("p1", "i1", 1, "a1", "b1"),
            persona("p2", "i2", 1, "x", "y"),
            persona("p2x", "i2", 2, "a2", "y"),  # dislikes it, and is nobody's label
            persona("p3a", "i3", 1, "x"),
            persona("p3b", "i3", 2, "a3", "x"),  # quotes ua's review
            persona("p3c", "i3", 3, "b3"),  # rests on ub's review alone
            persona("p4", "i4", 1, "c4"),  # uc's target has no other persona
        ],
        "persona_id string, item_id string, status string, position int, name string, description string, "
        "preference_rationale string, evidence array<struct<kind:string,ref:string,start:int,end:int,quote:string>>, stance string",
    )
    summaries = spark.createDataFrame(
        [(f"i{n}", f"item {n}") for n in (1, 2, 3, 4, 9)], "item_id string, summary string"
    )
    said = {f"{user}{n}": "fine" for user in "abcdel" for n in (1, 2, 3, 4, 9)} | {"b3": "for gigs"}
    reviews = spark.createDataFrame(list(said.items()), "review_id string, text string")
    vectors = {}
    for row in personas.collect():
        text = render_personas(*(pa.array([v]) for v in (row["name"], "d", f"item {row['item_id'][1:]}", "r")))[
            0
        ].as_py()
        vectors[text_hash(text)] = [1.0, 0.0] if row["persona_id"] == "p3b" else [0.0, 1.0]
    vectors |= {text_hash("for gigs"): [1.0, 0.0], text_hash("fine"): [0.0, 1.0], text_hash(""): [1.0, 0.0]}
    choices = spark.createDataFrame(
        [
            ("ua", "i3", "a3", "p3a"),  # evidence says p3b
            ("ub", "i3", "b3", "p3c"),  # masked for ub
            ("uc", "i4", "c4", "p4-retired"),
            ("ud", "i3", "d3", "p3c"),
            ("ue", "i3", "e3-older", "p3c"),  # about what the review was before
        ],
        "user_id string, item_id string, review_id string, persona_id string",
    )
    embeddings = spark.createDataFrame(list(vectors.items()), "text_hash string, vector array<float>")
    return training_pairs(histories, personas, summaries, reviews, choices, embeddings, 4.0).persist()


@pytest.fixture(scope="module")
def pairs(found: "DataFrame") -> dict[tuple[str, str], Any]:
    return {(row["user_id"], row["item_id"]): row for row in found.collect()}


def test_pairs(pairs: dict[tuple[str, str], Any]) -> None:
    assert set(pairs) == {
        ("ua", "i3"),
        ("ua", "i2"),
        ("ua", "i1"),
        *((user, item) for user in ("ub", "ud", "ue", "uf") for item in ("i1", "i3")),
        ("uc", "i1"),
    }  # uc's only persona of i4 would give the answer away, and lonely has nothing beside i1
    assert (pairs["ua", "i3"]["persona_id"], pairs["ua", "i3"]["label_source"]) == ("p3b", "evidence")
    assert pairs["ua", "i3"]["history_interaction_ids"] == ["a2", "a1"]
    assert pairs["ua", "i3"]["reviewed_at"].replace(tzinfo=UTC) == START + timedelta(days=3)
    # ub's text is nearest to p3b; p3c quotes the review, but nobody else's
    assert (pairs["ub", "i3"]["persona_id"], pairs["ub", "i3"]["label_source"]) == ("p3b", "similarity")
    assert pairs["ub", "i3"]["masked_persona_ids"] == ["p3c"]


def test_an_event_is_a_pair_by_its_weight_and_what_was_sent_back_is_none(pairs: dict[tuple[str, str], Any]) -> None:
    played = pairs["uf", "i3"]
    assert (played["interaction_id"], played["weight"]) == ("event:f3", 0.25)
    assert played["history_interaction_ids"] == ["event:f1"]
    assert (played["persona_id"], played["label_source"]) == ("p3b", "similarity")
    assert played["masked_persona_ids"] == []  # nobody quotes what was never written
    assert pairs["uf", "i1"]["weight"] == pairs["ua", "i1"]["weight"] == 1.0


def test_the_target_is_taken_out_and_what_came_later_stays(pairs: dict[tuple[str, str], Any]) -> None:
    told = {
        key: (row["history_interaction_ids"], row["history_place"])
        for key, row in pairs.items()
        if key[0] in ("ua", "ub")
    }
    assert told == {
        ("ua", "i3"): (["a2", "a1"], 0),
        ("ua", "i2"): (["a3", "a1"], 1),
        ("ua", "i1"): (["a3", "a2"], 2),
        ("ub", "i3"): (["b1"], 0),
        ("ub", "i1"): (["b3"], 1),
    }


def test_the_judge_comes_after_evidence_and_before_similarity(pairs: dict[tuple[str, str], Any]) -> None:
    # ud's text is nearest to p3a: it says nothing of gigs
    assert (pairs["ud", "i3"]["persona_id"], pairs["ud", "i3"]["label_source"]) == ("p3c", "judge")
    assert said(pairs["ud", "i3"]) == [("judge", "p3c"), ("similarity", "p3a")]
    assert said(pairs["ua", "i3"]) == [("evidence", "p3b"), ("judge", "p3a"), ("similarity", "p3a")]


def test_a_choice_of_a_masked_persona_or_about_another_review_is_ignored(pairs: dict[tuple[str, str], Any]) -> None:
    assert said(pairs["ub", "i3"]) == [("similarity", "p3b")]
    assert (pairs["ue", "i3"]["persona_id"], pairs["ue", "i3"]["label_source"]) == ("p3a", "similarity")
    assert said(pairs["ua", "i2"]) == []  # one persona is left: nothing to choose


def said(pair: Any) -> list[tuple[str, str]]:
    return [(label["label_source"], label["persona_id"]) for label in pair["labels"]]


def test_agreement_counts_pairs_of_which_both_say_something(found: "DataFrame") -> None:
    from persona_pipeline.encoder.pairing import label_counts

    assert label_counts(found) == {
        "labels": {"evidence": 3, "judge": 1, "similarity": 8},
        "agreement": {
            "evidence_judge": {"pairs": 1, "agree": 0},  # ua-i3
            "evidence_similarity": {"pairs": 1, "agree": 0},  # ua-i3
            "judge_similarity": {"pairs": 2, "agree": 1},  # ua-i3 agrees, ud-i3 does not
        },
    }
