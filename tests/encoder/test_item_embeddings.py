"""Profiles of items: means of what was said of them, made once, and what the head sees of a persona."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from embedded import REVIEWS_ALONE, StandIn, embed, embed_texts, keyed_by, mean_of, shop_profile, vectors_of_keys
from helpers import BASE_MODEL, TITLES, Row, put, put_all, shop, toward
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_pipeline.config import EncodersConfig
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.embeddings.cache import text_hash
from persona_pipeline.embeddings.mapped import vectors_on_disk
from persona_pipeline.encoder import item_embeddings as module
from persona_pipeline.encoder.item_embeddings import (
    ItemFields,
    ensure_profiles,
    item_fields,
    persona_inputs,
    profile_model,
    profiles,
    texts_of,
    with_profiles,
)
from persona_pipeline.encoder.text_inputs import persona_texts
from persona_pipeline.warehouse import Warehouse

MADE_OF = ("reviews", "item_reviews", "item_personas", "item_summaries", "user_histories")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    found = Warehouse(tmp_path)
    tables = shop()
    put_all(found, {table: tables[table] for table in MADE_OF})
    return found


def silence(warehouse: Warehouse, *items: str) -> None:
    """Leave items without evidence: one with an empty list, the others without a row."""
    rows = [row for row in shop()["item_reviews"] if row["item_id"] not in items[1:]]
    for row in rows:
        if row["item_id"] == items[0]:
            row["evidence"] = []
    put(warehouse, "item_reviews", rows)


def vectors_by_item(warehouse: Warehouse) -> dict[str, np.ndarray]:
    known = profiles(warehouse, REVIEWS_ALONE)
    vectors = vectors_of_keys(warehouse, known["profile_hash"], profile_model(BASE_MODEL))
    return dict(zip(known["item_id"].to_pylist(), vectors, strict=True))


def fields_of(warehouse: Warehouse, known: pa.Table) -> ItemFields:
    with vectors_on_disk(warehouse, texts_of(known), BASE_MODEL) as vectors:
        return item_fields(known, vectors)


def test_a_profile_is_the_mean_of_what_was_said(warehouse: Warehouse) -> None:
    assert embed(warehouse) == 5
    found = vectors_by_item(warehouse)
    assert list(found) == sorted(TITLES)
    for item, vector in found.items():
        np.testing.assert_allclose(vector, shop_profile(item), atol=1e-6)
        assert vector.dtype == np.float32


def test_an_item_nobody_wrote_of_is_what_its_personas_are(warehouse: Warehouse) -> None:
    silence(warehouse, "strap", "tuner")
    embed(warehouse)
    texts = {row["persona_id"]: row["text"] for row in persona_texts(warehouse).to_pylist()}
    found = vectors_by_item(warehouse)
    np.testing.assert_allclose(found["strap"], mean_of(texts["strap-1"], texts["strap-2"]), atol=1e-6)
    np.testing.assert_allclose(found["tuner"], toward(texts["tuner-3"])[0], atol=1e-6)
    np.testing.assert_allclose(found["capo"], shop_profile("capo"), atol=1e-6)


def test_an_untold_persona_is_left_out_where_there_are_others(warehouse: Warehouse) -> None:
    silence(warehouse, "strap", "tuner")
    texts = {row["persona_id"]: row["text_hash"] for row in persona_texts(warehouse).to_pylist()}
    untold = pa.array(["strap-1", *(p for p in texts if p.startswith("tuner"))])
    told = {row["item_id"]: row["told"] for row in profiles(warehouse, REVIEWS_ALONE, untold=untold).to_pylist()}
    assert told["strap"] == [texts["strap-2"]]
    assert told["tuner"] == [texts[p] for p in sorted(texts) if p.startswith("tuner")]


def test_neither_evidence_nor_persona_is_no_profile(warehouse: Warehouse) -> None:
    silence(warehouse, "strap")
    put(warehouse, "item_personas", [row for row in shop()["item_personas"] if row["item_id"] != "strap"])
    known = profiles(warehouse, REVIEWS_ALONE)
    assert known["item_id"].to_pylist() == ["capo", "picks", "strings", "tuner"]
    rows = with_profiles(pa.table({"item_id": ["strap", "tuner", "capo", "tuner"], "n": [0, 1, 2, 3]}), known)
    assert rows["n"].to_pylist() == [1, 2, 3]
    expected = dict(zip(known["item_id"].to_pylist(), known["profile_hash"].to_pylist(), strict=True))
    assert rows["profile_hash"].to_pylist() == [expected[item] for item in ("tuner", "capo", "tuner")]


def test_nothing_is_made_twice(warehouse: Warehouse) -> None:
    embed(warehouse)
    version = warehouse.version("text_embeddings")
    assert embed(warehouse) == 0
    assert warehouse.version("text_embeddings") == version


def test_only_an_item_of_which_more_was_said_is_made_anew(warehouse: Warehouse) -> None:
    embed(warehouse)
    before = {row["item_id"]: row["profile_hash"] for row in profiles(warehouse, REVIEWS_ALONE).to_pylist()}
    rows = shop()["item_reviews"]
    rows[0]["evidence"].pop()
    put(warehouse, "item_reviews", rows)
    assert embed(warehouse) == 1
    after = {row["item_id"]: row["profile_hash"] for row in profiles(warehouse, REVIEWS_ALONE).to_pylist()}
    assert {item for item in after if after[item] != before[item]} == {rows[0]["item_id"]}


def test_the_order_of_the_evidence_does_not_matter(warehouse: Warehouse) -> None:
    before = profiles(warehouse, REVIEWS_ALONE)
    rows = shop()["item_reviews"]
    for row in rows:
        row["evidence"].reverse()
    put(warehouse, "item_reviews", rows[::-1])
    assert profiles(warehouse, REVIEWS_ALONE).equals(before)


def test_items_of_which_the_same_was_said_share_a_profile(warehouse: Warehouse) -> None:
    rows = shop()["item_reviews"]
    for row in rows:
        row["evidence"] = [{**row["evidence"][0], "text": "Good."}]
    put(warehouse, "item_reviews", rows)
    assert embed(warehouse) == 1
    assert len(profiles(warehouse, REVIEWS_ALONE)["profile_hash"].unique()) == 1


def test_parts_of_any_size_make_the_same(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ITEMS_AT_ONCE", 2)
    assert embed(warehouse) == 5
    for item, vector in vectors_by_item(warehouse).items():
        np.testing.assert_allclose(vector, shop_profile(item), atol=1e-6)


def test_one_text_without_embedding_raises(warehouse: Warehouse) -> None:
    embed_texts(warehouse)
    missing = text_hash("Reads fast even on a loud stage.")
    rows = warehouse.read("text_embeddings")
    warehouse.replace("text_embeddings", rows.filter(pc.not_equal(rows["text_hash"], missing)))
    told = f"1 texts have no embedding by {BASE_MODEL}; run the text_embeddings task"
    with keyed_by(warehouse) as keyed, pytest.raises(PipelineError, match=told):
        ensure_profiles(keyed, StandIn(warehouse), REVIEWS_ALONE)


def test_a_profile_is_no_text(warehouse: Warehouse) -> None:
    """Profiles and texts share a table, but neither is ever read as the other."""
    embed(warehouse)
    hashes = profiles(warehouse, REVIEWS_ALONE)["profile_hash"]
    with pytest.raises(PipelineError, match="5 texts have no embedding"):
        vectors_of_keys(warehouse, hashes, BASE_MODEL)


def test_inputs_of_personas_by_hand() -> None:
    shared, own = np.array([[1, 0], [1, 0]], np.float32), np.array([[0, 1], [1, 0]], np.float32)
    assert persona_inputs(shared, own, 0.0).tolist() == shared.tolist()
    np.testing.assert_allclose(persona_inputs(shared, own, 0.75), np.array([[4, 3], [5, 0]]) / 5, rtol=1e-6)


UNIT = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).standard_normal((5, 8)))


@settings(max_examples=30, deadline=None)
@given(UNIT, UNIT, st.floats(0, 20))
def test_inputs_are_unit_and_lean_to_the_text_by_weight(one: np.ndarray, other: np.ndarray, weight: float) -> None:
    shared, own = ((m / np.linalg.norm(m, axis=1, keepdims=True)).astype(np.float32) for m in (one, other))
    found = persona_inputs(shared, own, weight)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    more = persona_inputs(shared, own, weight + 1)
    assert ((more * own).sum(1) >= (found * own).sum(1) - 1e-6).all()


def test_what_cancels_out_is_zero_and_not_nan(warehouse: Warehouse) -> None:
    opposite = toward("any")
    assert persona_inputs(opposite, -opposite, 1.0).tolist() == [[0.0] * 16]


def said_of(items: dict[str, list[str]]) -> list[Row]:
    rows = [row for row in shop()["item_reviews"] if row["item_id"] in items]
    for row in rows:
        row["evidence"] = [
            {**row["evidence"][0], "review_id": f"r{n}", "text": t} for n, t in enumerate(items[row["item_id"]])
        ]
    return rows


def test_what_is_said_twice_counts_twice(warehouse: Warehouse) -> None:
    put(warehouse, "item_reviews", said_of({"capo": ["Good.", "Good.", "Bad."], "tuner": ["Good.", "Bad."]}))
    embed(warehouse)
    found = vectors_by_item(warehouse)
    np.testing.assert_allclose(found["capo"], mean_of("Good.", "Good.", "Bad."), atol=1e-6)
    np.testing.assert_allclose(found["tuner"], mean_of("Good.", "Bad."), atol=1e-6)


TITLED = EncodersConfig(title_weight=2.0, creator_weight=0.5)


def with_items(warehouse: Warehouse) -> None:
    """The shop's items, the tuner with a maker too."""
    rows = shop()["items"]
    for row in rows:
        row["creator"] = "Korg" if row["item_id"] == "tuner" else None
    put(warehouse, "items", rows)


def weighed(warehouse: Warehouse, config: EncodersConfig) -> dict[str, np.ndarray]:
    """Each item's profile under `config`, from the cache."""
    embed(warehouse, config=config)
    known = profiles(warehouse, config)
    vectors = vectors_of_keys(warehouse, known["profile_hash"], profile_model(BASE_MODEL))
    return dict(zip(known["item_id"].to_pylist(), vectors, strict=True))


def test_fields_of_an_item_are_added_by_weight(warehouse: Warehouse) -> None:
    with_items(warehouse)
    found = weighed(warehouse, TITLED)
    np.testing.assert_allclose(found["strings"], shop_profile("strings"), atol=1e-6)  # it has no title
    mixed = shop_profile("tuner") + 2 * toward("Clip-on tuner")[0] + 0.5 * toward("Korg")[0]
    np.testing.assert_allclose(found["tuner"], mixed / np.linalg.norm(mixed), atol=1e-6)


def test_an_item_without_reviews_is_what_its_content_says(warehouse: Warehouse) -> None:
    silence(warehouse, "strap", "tuner")
    with_items(warehouse)
    rows = [*warehouse.read("items").to_pylist(), {**shop()["items"][0], "item_id": "new", "title": "Bass strings"}]
    put(warehouse, "items", rows)
    found = weighed(warehouse, TITLED)
    np.testing.assert_allclose(found["strap"], toward("Padded guitar strap")[0], atol=1e-6)
    np.testing.assert_allclose(found["new"], toward("Bass strings")[0], atol=1e-6)  # nobody met it yet
    assert "new" not in weighed(warehouse, REVIEWS_ALONE)


def test_the_key_changes_with_content_and_its_weight(warehouse: Warehouse) -> None:
    with_items(warehouse)

    def keys(config: EncodersConfig) -> dict[str, str]:
        known = profiles(warehouse, config)
        return dict(zip(known["item_id"].to_pylist(), known["profile_hash"].to_pylist(), strict=True))

    plain, titled = keys(REVIEWS_ALONE), keys(EncodersConfig(title_weight=2.0))
    assert {item for item in plain if plain[item] != titled[item]} == set(TITLES) - {"strings"}
    assert keys(EncodersConfig(title_weight=1.0))["tuner"] != titled["tuner"]
    assert keys(EncodersConfig(title_weight=2.0, description_weight=9.0)) == titled  # nothing is described
    rows = shop()["items"]
    put(warehouse, "items", [{**row, "title": "Tuner"} if row["item_id"] == "tuner" else row for row in rows])
    changed = keys(EncodersConfig(title_weight=2.0))
    assert {item for item in changed if changed[item] != titled[item]} == {"tuner"}


def test_profiles_put_together_in_memory_are_those_of_the_cache(warehouse: Warehouse) -> None:
    with_items(warehouse)
    cached = weighed(warehouse, TITLED)
    fields = fields_of(warehouse, profiles(warehouse, REVIEWS_ALONE))
    assert fields.known() == ["title", "creator", "categories"]
    together = fields.profiles(TITLED.content_weights())
    for item, vector in zip(fields.item_ids.tolist(), together, strict=True):
        np.testing.assert_array_equal(vector, cached[item])


def test_a_profile_can_leave_reviews_out(warehouse: Warehouse) -> None:
    embed(warehouse)
    blind = profiles(warehouse, REVIEWS_ALONE, pa.array(["ana-tuner"]))
    fields = fields_of(warehouse, blind)
    vectors = dict(zip(fields.item_ids.tolist(), fields.profiles(REVIEWS_ALONE.content_weights()), strict=True))
    np.testing.assert_allclose(vectors["tuner"], toward("Needle is easy to see in the dark.")[0], atol=1e-6)
    np.testing.assert_allclose(vectors["capo"], shop_profile("capo"), atol=1e-6)
