"""Vectors of personas and users: what they are made of, and that only what changed is encoded again."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from embedded import REVIEWS_ALONE, embed, keyed_by, shop_profile
from helpers import BASE_MODEL, Row, put, put_all, shop, toward

from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder import user_and_persona_vectors
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.encoder.item_embeddings import persona_inputs, profiles
from persona_pipeline.encoder.text_inputs import persona_texts
from persona_pipeline.encoder.user_and_persona_vectors import encoder_of_run, persona_vectors, user_vectors
from persona_pipeline.warehouse import Warehouse

D = 16
LIKED = {
    "ana": ["strings", "tuner", "strap"],
    "ben": ["capo", "strap"],
    "cleo": ["capo", "tuner"],
    "dan": ["strings", "picks"],
}


def make_encoder(encoder_id: str = "enc1") -> Encoder:
    rng = np.random.default_rng(8)
    maps = [(np.eye(D) + 0.2 * rng.standard_normal((D, D))).astype(np.float32) for _ in range(2)]
    config = EncodersConfig(half_life=2.0, persona_weight=0.3, title_weight=0.0)
    return Encoder(encoder_id, BASE_MODEL, "2", maps[0], maps[1], {}, Prior.none(), config, "digest")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    found = Warehouse(tmp_path)
    tables = shop()
    made = ("item_personas", "item_summaries", "reviews", "item_reviews", "user_histories", "encoders")
    put_all(found, {table: tables[table] for table in made})
    embed(found)
    return found


def change(warehouse: Warehouse, table: str, alter: Callable[[list[Row]], object]) -> None:
    rows = shop()[table]
    alter(rows)
    put(warehouse, table, rows)
    embed(warehouse)


def users_of(warehouse: Warehouse, encoder: Encoder, liked: float, bucket_bytes: int = 2**26) -> tuple[list[Row], int]:
    with keyed_by(warehouse, bucket_bytes) as keyed:
        found = user_vectors(keyed, encoder, liked)
    rows = warehouse.read("user_vectors").to_pylist()
    assert found.vectors == len(rows)
    return rows, found.encoded


def run_users(warehouse: Warehouse, encoder: Encoder) -> tuple[dict[str, Row], int]:
    found, encoded = users_of(warehouse, encoder, 4.0)
    return {row["user_id"]: row for row in found}, encoded


def run_personas(warehouse: Warehouse, encoder: Encoder) -> tuple[dict[str, Row], int]:
    with keyed_by(warehouse) as keyed:
        encoded = persona_vectors(keyed, encoder).encoded
    return {row["persona_id"]: row for row in warehouse.read("persona_vectors").to_pylist()}, encoded


def test_a_user_is_the_normalised_weighted_sum_of_liked_interactions(warehouse: Warehouse) -> None:
    encoder = make_encoder()
    users, encoded = run_users(warehouse, encoder)
    assert encoded == 4
    assert {user: [i["item_id"] for i in row["interactions"]] for user, row in users.items()} == LIKED
    for user, items in LIKED.items():
        total = sum(
            0.5 ** (age / 2.0) * encoder.encode_interactions(shop_profile(item)[None])[0]
            for age, item in enumerate(items)
        )
        np.testing.assert_allclose(users[user]["vector"], total / np.linalg.norm(total), atol=1e-6)


def test_weights_reproduce_the_vector_exactly(warehouse: Warehouse) -> None:
    encoder = make_encoder()
    users, _ = run_users(warehouse, encoder)
    cached = {row["text_hash"]: row["vector"] for row in warehouse.read("text_embeddings").to_pylist()}
    for row in users.values():
        total = sum(
            i["weight"] * encoder.encode_interactions(np.array([cached[i["profile_hash"]]]))[0]
            for i in row["interactions"]
        )
        assert abs(np.linalg.norm(total) - 1) < 1e-12
        np.testing.assert_allclose(total, np.array(row["vector"]), rtol=0, atol=2**-24)


def test_personas_are_encoded_profiles_and_texts(warehouse: Warehouse) -> None:
    encoder = make_encoder()
    found, encoded = run_personas(warehouse, encoder)
    assert encoded == len(found) == 6
    for row in persona_texts(warehouse).to_pylist():
        inputs = persona_inputs(shop_profile(row["item_id"])[None], toward(row["text"]), 0.3)
        expected = encoder.encode_personas(inputs)[0]
        np.testing.assert_allclose(found[row["persona_id"]]["vector"], expected, atol=1e-6)
        assert found[row["persona_id"]]["item_id"] == row["item_id"]


def test_nothing_changed_nothing_encoded_nothing_written(warehouse: Warehouse) -> None:
    for run, table in ((run_users, "user_vectors"), (run_personas, "persona_vectors")):
        before, _ = run(warehouse, make_encoder())
        version = warehouse.version(table)
        after, encoded = run(warehouse, make_encoder())
        assert encoded == 0
        assert after == before
        assert warehouse.version(table) == version


def test_only_a_changed_persona_is_encoded(warehouse: Warehouse) -> None:
    before, _ = run_personas(warehouse, make_encoder())

    def retell(rows: list[Row]) -> None:
        rows[0]["description"] = "They stand on stage for hours."
        rows[1]["support"] = 9  # not part of the text
        rows[5].update(status="retired", position=0)

    change(warehouse, "item_personas", retell)
    after, encoded = run_personas(warehouse, make_encoder())
    assert encoded == 1
    assert after.keys() == before.keys() - {"strings-6"}
    assert {key for key in after if after[key] != before[key]} == {"strap-1"}


def test_what_is_said_of_an_item_changes_those_who_liked_it_and_its_personas(warehouse: Warehouse) -> None:
    users, personas = run_users(warehouse, make_encoder())[0], run_personas(warehouse, make_encoder())[0]

    def reword(rows: list[Row]) -> None:
        for row in rows:
            if row["item_id"] == "picks":  # liked by dan, not by ben
                row["evidence"][0]["text"] = "They crack."

    change(warehouse, "item_reviews", reword)
    users_after, users_encoded = run_users(warehouse, make_encoder())
    assert users_encoded == 1
    assert {user for user in users_after if users_after[user] != users[user]} == {"dan"}
    personas_after, personas_encoded = run_personas(warehouse, make_encoder())
    assert personas_encoded == 1
    assert {key for key in personas_after if personas_after[key] != personas[key]} == {"picks-5"}
    picks = next(row for row in profiles(warehouse, REVIEWS_ALONE).to_pylist() if row["item_id"] == "picks")
    assert personas_after["picks-5"]["profile_hash"] == picks["profile_hash"]


def test_what_is_said_later_moves_nothing_the_encoder_was_trained_on(warehouse: Warehouse) -> None:
    known = {row["item_id"]: row["profile_hash"] for row in profiles(warehouse, REVIEWS_ALONE).to_pylist()}
    encoder = replace(make_encoder(), profile_hashes=known)
    users, personas = run_users(warehouse, encoder)[0], run_personas(warehouse, encoder)[0]

    def reword(rows: list[Row]) -> None:
        for row in rows:
            for said in row["evidence"]:
                said["text"] = "They crack."

    change(warehouse, "item_reviews", reword)
    assert run_users(warehouse, encoder) == (users, 0)
    assert run_personas(warehouse, encoder) == (personas, 0)


def test_an_item_the_encoder_does_not_know_has_tonights_profile(warehouse: Warehouse) -> None:
    tonights = profiles(warehouse, REVIEWS_ALONE)
    found = replace(make_encoder(), profile_hashes={"picks": "frozen", "gone": "x"}).profiles(tonights).to_pylist()
    expected = {row["item_id"]: row["profile_hash"] for row in tonights.to_pylist()} | {"picks": "frozen"}
    assert {row["item_id"]: row["profile_hash"] for row in found} == expected


def test_a_new_interaction_changes_its_user(warehouse: Warehouse) -> None:
    before, _ = run_users(warehouse, make_encoder())
    change(warehouse, "user_histories", lambda rows: rows[1]["interactions"].pop(0))  # ben's newest
    after, encoded = run_users(warehouse, make_encoder())
    assert encoded == 1
    assert {user for user in after if after[user] != before[user]} == {"ben"}


def test_a_new_encoder_encodes_everything(warehouse: Warehouse) -> None:
    run_users(warehouse, make_encoder())
    run_personas(warehouse, make_encoder())
    users, encoded_users = run_users(warehouse, make_encoder("enc2"))
    personas, encoded_personas = run_personas(warehouse, make_encoder("enc2"))
    assert (encoded_users, encoded_personas) == (4, 6)
    assert {row["encoder_id"] for row in (*users.values(), *personas.values())} == {"enc2"}
    assert warehouse.read("user_vectors").num_rows == 4


def test_users_who_liked_nothing_have_no_vector(warehouse: Warehouse) -> None:
    rows, _ = users_of(warehouse, make_encoder(), 5.0)
    found = {row["user_id"]: [i["item_id"] for i in row["interactions"]] for row in rows}
    assert found == {"ana": ["strings", "strap"], "ben": ["capo", "strap"], "cleo": ["tuner"], "dan": ["strings"]}
    assert users_of(warehouse, make_encoder(), 5.5) == ([], 0)


def test_chunks_of_users_do_not_matter(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = users_of(warehouse, make_encoder(), 4.0)
    put(warehouse, "user_vectors", [])
    monkeypatch.setattr(user_and_persona_vectors, "_USERS_AT_ONCE", 3)
    chunks, encoded = users_of(warehouse, make_encoder(), 4.0)
    assert encoded == 4
    for one, other in zip(whole, chunks, strict=True):
        assert (one["user_id"], one["inputs_hash"]) == (other["user_id"], other["inputs_hash"])
        # A matrix product may round its last bit another way for another number of rows.
        ours, theirs = ([i["weight"] for i in row["interactions"]] for row in (one, other))
        np.testing.assert_allclose(ours, theirs, rtol=1e-14)
        np.testing.assert_allclose(one["vector"], other["vector"], rtol=0, atol=2**-24)


def test_tonights_encoder_is_read_from_its_artefact(warehouse: Warehouse) -> None:
    make_encoder().save(warehouse.root / shop()["encoders"][0]["artefact"])
    assert encoder_of_run(warehouse, "enc1").base_model == BASE_MODEL
