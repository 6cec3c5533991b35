"""A small shop's personas and people, for tests of ranking."""

import numpy as np
import pyarrow as pa
from helpers import BASE_MODEL, Row, toward
from scipy.sparse import csr_array

from persona_pipeline.config import EncodersConfig
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.score.item_index import ItemIndex
from persona_pipeline.score.ranking_inputs import RankingInputs

D = 16
ITEMS = sorted(["capo", "picks", "slide", "strap", "strings", "tuner"])
PERSONAS = [f"{item}-{n}" for item in ITEMS for n in range(1 + len(item) % 3)]
INTERACTION = pa.struct(
    [("review_id", pa.string()), ("item_id", pa.string()), ("weight", pa.float64()), ("vector", pa.list_(pa.float32()))]
)
USERS = pa.schema(
    [("user_id", pa.string()), ("interactions", pa.list_(INTERACTION)), ("reviewed_item_ids", pa.list_(pa.string()))]
)


# Who met a strap met tuner and slide, and so on; of the discontinued slip-on the catalogue knows no more.
PRIOR_ITEMS = np.array(["capo", "picks", "slide", "slip-on", "strap", "tuner"])
SIMILARITIES = csr_array(
    np.array([
        [0, 0.3, 0, 0.1, 1, 0],
        [0.3, 0, 0, 0, 0, 0.7],
        [0, 0, 0, 0, 0.2, 0],
        [0.1, 0, 0.9, 0, 0, 0],
        [1, 0, 0.2, 0, 0, 0.4],
        [0, 0.7, 0, 0, 0.4, 0],
    ])
)  # fmt: skip


def make_ranking(aggregation: str = "softmax", k: int = 4, prior_weight: float = 1.5) -> RankingInputs:
    config = EncodersConfig.model_validate({"aggregation": aggregation, "prior_weight": prior_weight})
    rng = np.random.default_rng(3)
    maps = [np.eye(D) + 0.3 * rng.standard_normal((D, D)) for _ in range(2)]
    counts = {"capo": 40, "picks": 3, "strap": 12, "tuner": 1}
    interaction_map, persona_map = (m.astype(np.float32) for m in maps)
    prior = Prior(PRIOR_ITEMS, SIMILARITIES)
    encoder = Encoder("enc1", BASE_MODEL, "2", interaction_map, persona_map, counts, prior, config, "digest")
    popularity = dict(zip(ITEMS, encoder.popularity_shares(ITEMS).tolist(), strict=True))
    items = np.array([persona.split("-")[0] for persona in PERSONAS])
    item_index = ItemIndex.build(
        items, encoder.encode_personas(toward(*PERSONAS, dimensions=D)), popularity, 0.1, aggregation
    )
    return RankingInputs(item_index, np.array(PERSONAS), encoder, encoder.prior_onto(item_index.item_ids), k, 2**30)


def make_user(ranking: RankingInputs, user: str, *liked: str) -> Row:
    """A user with the weights `user_vectors` would hold."""
    reviews = [f"{user}-{item}" for item in liked]
    vectors = toward(*reviews, dimensions=D)
    raw = 0.5 ** (np.arange(len(liked)) / 5)
    weights = raw / np.linalg.norm((ranking.encoder.encode_interactions(vectors) * raw[:, None]).sum(0))
    rows = zip(reviews, liked, weights.tolist(), vectors.tolist(), strict=True)
    interactions = [{"review_id": r, "item_id": i, "weight": w, "vector": v} for r, i, w, v in rows]
    return {"user_id": user, "interactions": interactions, "reviewed_item_ids": sorted({*liked, "discontinued"})}
