"""Training data to an encoder: what goes into the catalogue, and that head, popularity and prior all come out."""

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array
from worlds import training_world

from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.encoder.fit import fit_encoder, fit_head
from persona_pipeline.encoder.item_embeddings import persona_inputs
from persona_pipeline.encoder.texts import TEXT_VERSION

AXES = dict(zip(("capo", "strap", "tuner"), np.eye(3), strict=True))
DATA, _ = training_world({"ana": ["capo", "strap"], "ben": ["strap", "capo", "tuner"]}, AXES)
CONFIG = EncodersConfig(steps=0, heads=1, persona_weight=0.25, prior="prox_knn", prior_weight=2.0)


def test_the_head_learns_profiles_set_off_by_texts() -> None:
    texts = np.roll(DATA.persona_texts, 1, axis=1)
    _, catalogue, _ = fit_head(replace(DATA, persona_texts=texts), CONFIG)
    expected = persona_inputs(DATA.persona_profiles, texts, 0.25)
    np.testing.assert_array_equal(catalogue.embeddings.numpy(), expected)
    assert catalogue.item_ids.tolist() == ["capo", "strap", "tuner"]


def test_an_encoder_holds_everything_a_score_is_made_of() -> None:
    prior = Prior(np.array(["capo", "strap"]), csr_array(np.array([[0, 1.0], [1.0, 0]])))
    encoder, metrics = fit_encoder("enc1", "base", DATA, prior, "digest", CONFIG)
    assert (encoder.encoder_id, encoder.base_model, encoder.text_version) == ("enc1", "base", TEXT_VERSION)
    assert (encoder.reviews_digest, encoder.config) == ("digest", CONFIG)
    assert encoder.liked_counts == {"capo": 2, "strap": 2, "tuner": 1}
    np.testing.assert_array_equal(encoder.interaction_map, np.eye(3))
    assert encoder.prior is prior
    assert set(metrics) == {"label_agreement", "temperature"}


def test_steps_move_the_head() -> None:
    more = CONFIG.model_copy(update={"steps": 5})
    encoder, metrics = fit_encoder("enc1", "base", DATA, Prior.none(), "", more)
    assert not np.array_equal(encoder.interaction_map, np.eye(3))
    assert metrics["last_loss"] < metrics["first_loss"]
