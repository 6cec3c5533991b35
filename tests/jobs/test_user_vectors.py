"""The job `user_vectors` on the shop: a user is what they liked, the newest most."""

import numpy as np
import pytest
from helpers import put, shop
from one_run import OneRun, kept, opened, without, written

from persona_pipeline.warehouse import Warehouse


def tonight(warehouse: Warehouse) -> OneRun:
    run = opened(warehouse, training_pairs={"min_liked_rating": 4.0})
    run.settle_on("enc1")
    return run


def test_a_user_is_what_they_liked(warehouse: Warehouse) -> None:
    run = tonight(without(warehouse, "user_vectors"))
    summary = run.do("user_vectors")
    assert (summary["vectors"], summary["encoded"], summary["encoder_id"]) == (4, 4, "enc1")
    assert written(summary) == {"user_vectors": (4, 0, 0)}
    ana, ben, *_ = kept(warehouse, "user_vectors")
    # The picks that ben disliked are no part of him, and take no place.
    assert [met["review_id"] for met in ben["interactions"]] == ["ben-capo", "ben-strap"]
    newest, other = (met["weight"] for met in ben["interactions"])
    assert other / newest == pytest.approx(0.5 ** (1 / 3))  # a half-life of three
    assert [met["item_id"] for met in ana["interactions"]] == ["strings", "tuner", "strap"]
    vectors = {row["text_hash"]: np.array(row["vector"]) for row in kept(warehouse, "text_embeddings")}
    whole = sum(met["weight"] * vectors[met["profile_hash"]] for met in ana["interactions"])
    assert np.allclose(ana["vector"], whole, atol=1e-6)
    assert np.linalg.norm(ana["vector"]) == pytest.approx(1, abs=1e-6)
    assert run.again("user_vectors")["encoded"] == 0


def test_only_who_changed_is_encoded_and_who_likes_nothing_has_none(warehouse: Warehouse) -> None:
    tonight(without(warehouse, "user_vectors")).do("user_vectors")
    ana, ben, *others = shop()["user_histories"]
    ana["interactions"] = ana["interactions"][1:]
    for met in ben["interactions"]:
        met["rating"] = 2.0
    put(warehouse, "user_histories", [ana, ben, *others])
    summary = tonight(warehouse).do("user_vectors")
    assert (summary["vectors"], summary["encoded"]) == (3, 1)
    assert written(summary) == {"user_vectors": (0, 1, 1)}
    assert [row["user_id"] for row in kept(warehouse, "user_vectors")] == ["ana", "cleo", "dan"]
