"""An encoder on disk is the encoder in memory, and a folder that is there stays."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import BASE_MODEL
from scipy.sparse import csr_array

from persona_pipeline.config import EncodersConfig
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import Prior


@pytest.fixture
def encoder() -> Encoder:
    rng = np.random.default_rng(5)
    maps = [rng.standard_normal((6, 6)).astype(np.float32) for _ in range(2)]
    config = EncodersConfig(temperature=0.2, popularity_weight=0.5, aggregation="max", prior="ease", prior_weight=3.0)
    similarities = csr_array(np.array([[0, 1.0, 0], [0.5, 0, 0.25], [0, 0.75, 0]]))
    prior = Prior(np.array(["capo", "strap", "tuner"]), similarities)
    return Encoder(
        "enc1",
        BASE_MODEL,
        "1",
        maps[0],
        maps[1],
        {"strap": 9, "capo": 1},
        prior,
        config,
        "digest",
        {"strap": "a", "capo": "b"},
    )


def test_round_trip(encoder: Encoder, tmp_path: Path) -> None:
    encoder.save(tmp_path / "encoders" / "enc1")
    found = Encoder.load(tmp_path / "encoders" / "enc1")
    for name in (
        "encoder_id",
        "base_model",
        "text_version",
        "liked_counts",
        "config",
        "reviews_digest",
        "profile_hashes",
    ):
        assert getattr(found, name) == getattr(encoder, name)
    np.testing.assert_array_equal(found.interaction_map, encoder.interaction_map)
    np.testing.assert_array_equal(found.persona_map, encoder.persona_map)
    assert found.prior.item_ids.tolist() == ["capo", "strap", "tuner"]
    assert isinstance(found.prior.similarities, csr_array)
    np.testing.assert_array_equal(found.prior.similarities.toarray(), encoder.prior.similarities.toarray())
    rows = np.random.default_rng(6).standard_normal((3, 6)).astype(np.float32)
    np.testing.assert_array_equal(found.encode_personas(rows), encoder.encode_personas(rows))
    np.testing.assert_array_equal(found.encode_interactions(rows), encoder.encode_interactions(rows))


def test_round_trip_without_a_prior(encoder: Encoder, tmp_path: Path) -> None:
    replace(encoder, prior=Prior.none()).save(tmp_path / "enc1")
    found = Encoder.load(tmp_path / "enc1").prior
    assert found.item_ids.tolist() == []
    assert found.onto(np.array(["capo", "strap"])).shape == (0, 2)


def test_nothing_but_the_artefact_is_left(encoder: Encoder, tmp_path: Path) -> None:
    encoder.save(tmp_path / "enc1")
    assert [path.name for path in tmp_path.iterdir()] == ["enc1"]
    assert {path.name for path in (tmp_path / "enc1").iterdir()} == {
        "encoder.json",
        "head.safetensors",
        "popularity.parquet",
        "prior.npz",
        "prior_items.parquet",
        "profiles.parquet",
    }


def test_an_existing_folder_is_kept(encoder: Encoder, tmp_path: Path) -> None:
    encoder.save(tmp_path / "enc1")
    replace(encoder, text_version="2").save(tmp_path / "enc1")
    assert Encoder.load(tmp_path / "enc1").text_version == "1"


def test_an_interrupted_save_leaves_no_encoder(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        encoder.save(tmp_path / "enc1")
    monkeypatch.undo()
    with pytest.raises(PipelineError):
        Encoder.load(tmp_path / "enc1")
    encoder.save(tmp_path / "enc1")
    assert Encoder.load(tmp_path / "enc1").encoder_id == "enc1"


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"no encoder artefact at .*gone"):
        Encoder.load(tmp_path / "gone")


def test_popularity_by_hand(encoder: Encoder) -> None:
    expected = [0.2 * 0.5 * np.log(10), 0.2 * 0.5 * np.log(2), 0.0]
    np.testing.assert_allclose(encoder.popularity_shares(["strap", "capo", "new"]), expected)


def test_prior_by_hand(encoder: Encoder) -> None:
    # temperature 0.2 x weight 3; rows capo, strap, tuner
    expected = 0.6 * np.array([[1, 0, 0], [0, 0, 0.5], [0.75, 0, 0]])
    np.testing.assert_allclose(encoder.prior_onto(np.array(["strap", "new", "capo"])).toarray(), expected)


def test_personas_are_encoded_to_unit_length_and_interactions_linearly(encoder: Encoder) -> None:
    rows = np.random.default_rng(7).standard_normal((4, 6)).astype(np.float32)
    assert encoder.encode_personas(rows).dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(encoder.encode_personas(rows), axis=1), 1, atol=1e-6)
    parts = encoder.encode_interactions(rows)
    whole = encoder.encode_interactions(rows.sum(0, keepdims=True, dtype=np.float64))
    np.testing.assert_allclose(parts.sum(0), whole[0], atol=1e-12)
    np.testing.assert_allclose(parts[0], encoder.interaction_map.astype(np.float64) @ rows[0], atol=1e-12)
