"""The shop with real vectors and a release: what readers open. Lists are `rank_users`' own, as the night's would be."""

import zlib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from helpers import AS_OF, BASE_MODEL, Row, arrow, as_met, put, shop, toward
from scipy.sparse import csr_array

from persona_pipeline.config import PipelineConfig
from persona_pipeline.contracts import table_names
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.encoder.cf_prior import Prior
from persona_pipeline.encoder.item_embeddings import profile_model
from persona_pipeline.score.contributions import rank_users
from persona_pipeline.score.explanations import explanation, of_ones_own, quoted
from persona_pipeline.score.ranking_inputs import RankingInputs
from persona_pipeline.warehouse import Warehouse

D = 16
BUCKETS = 4
CONFIG = {"user_item_topk": {"k": 3, "user_buckets": BUCKETS}, "encoders": {"prior": "prox_knn", "prior_weight": 0.5}}
STRANGE = "zoë 'O’Neil' %/2F"  # a user whose id is neither ASCII nor fit for SQL or a path
HOSTILE = 'Great </p><script>alert("x")</script> <img src=x onerror=alert(1)'

_LIKED = {
    "ana": ["strings", "tuner", "strap"],
    "ben": ["capo", "strap"],
    "cleo": ["capo", "tuner"],
    "dan": ["strings", "picks"],
    STRANGE: ["picks"],
}
_USERS = pa.schema(
    [
        ("user_id", pa.string()),
        (
            "interactions",
            pa.list_(
                pa.struct(
                    [
                        ("review_id", pa.string()),
                        ("item_id", pa.string()),
                        ("weight", pa.float64()),
                        ("vector", pa.list_(pa.float32())),
                    ]
                )
            ),
        ),
        ("reviewed_item_ids", pa.list_(pa.string())),
    ]
)


def encoder(counts: dict[str, int] | None = None) -> Encoder:
    """An encoder with a prior."""
    rng = np.random.default_rng(3)
    one, other = ((np.eye(D) + 0.3 * rng.standard_normal((D, D))).astype(np.float32) for _ in range(2))
    items = np.array(["capo", "picks", "strap", "strings"])
    similar = csr_array(np.array([[0, 0.3, 1, 0], [0.3, 0, 0, 0.7], [1, 0, 0, 0], [0, 0.7, 0, 0]]))
    config = PipelineConfig.model_validate(CONFIG).encoders
    liked = counts or {"capo": 4, "strap": 9, "tuner": 2, "strings": 1}
    return Encoder(
        "enc1", BASE_MODEL, "2", one, other, liked, Prior(items, similar), config, "d", {"capo": "profile-capo"}
    )


def tables(made: Encoder) -> dict[str, list[Row]]:
    """The shop's tables around that encoder: a metronome nobody has reviewed, and eve, who disliked what she bought."""
    found = shop()
    found["reviews"][9]["text"] += f" {HOSTILE}"
    evidence = {"kind": "metadata", "ref": "title", "start": 0, "end": 9, "quote": "Metronome"}
    metadata = {
        "persona_id": "metronome-1",
        "item_id": "metronome",
        "name": "Prospective buyers",
        "position": 1,
        "support": 0,
    }
    metadata |= {"persona_source": "metadata", "evidence": [evidence], "mean_rating": None, "extracted_from": []}
    found["item_personas"].append({**found["item_personas"][2], **metadata})
    gone = {"persona_id": "capo-gone", "status": "retired", "position": 0, "retired_as_of": AS_OF}
    found["item_personas"].append({**found["item_personas"][3], **gone})
    found["items"].append({**found["items"][0], "item_id": "metronome", "title": "Metronome"})
    when = datetime(2024, 6, 11, tzinfo=UTC)
    low = as_met({"review_id": "eve-strap", "item_id": "strap", "rating": 1.0, "reviewed_at": when})
    stranger = as_met({"review_id": "zoe-picks", "item_id": "picks", "rating": 4.0, "reviewed_at": when})
    for user, interaction in (("eve", low), (STRANGE, stranger)):
        mine = {"user_id": user, "interaction_count": 1, "reviewed_item_ids": [interaction["item_id"]]}
        found["user_histories"].append({**mine, "interactions": [interaction]})
    current = [row for row in found["item_personas"] if row["status"] == "current"]
    profiles = sorted({row["item_id"] for row in current})
    shared = dict(zip(profiles, toward(*(f"profile {item}" for item in profiles), dimensions=D), strict=True))
    found["text_embeddings"] += [
        {"text_hash": f"profile-{item}", "base_model": profile_model(BASE_MODEL), "vector": shared[item].tolist()}
        for item in profiles
    ]
    vectors = made.encode_personas(toward(*(row["persona_id"] for row in current), dimensions=D))
    found["persona_vectors"] = [
        {"encoder_id": "enc1", "persona_id": row["persona_id"], "item_id": row["item_id"], "text_hash": "h",
         "profile_hash": f"profile-{row['item_id']}", "vector": vector.tolist()}
        for row, vector in zip(current, vectors, strict=True)
    ]  # fmt: skip
    found["user_vectors"] = [_user(made, user, liked, shared) for user, liked in _LIKED.items()]
    found["user_item_topk"] = _lists(made, found, shared)
    defaults = sorted(made.liked_counts, key=lambda item: (-made.liked_counts[item], item))
    popular = [next(row for row in current if row["item_id"] == item) for item in defaults]
    found["default_topk"] = [
        {**found["default_topk"][0], "rank": rank, "item_id": row["item_id"], "persona_id": row["persona_id"],
         "score": float(np.log1p(made.liked_counts[row["item_id"]]))}
        for rank, row in enumerate(popular, start=1)
    ]  # fmt: skip
    return found


def serve(root: Path, rows: dict[str, list[Row]], made: Encoder, as_of: date = AS_OF) -> Warehouse:
    """Write the tables and a published release of them."""
    warehouse = Warehouse(root)
    for table, content in rows.items():
        put(warehouse, table, content)
    made.save(root / "_artefacts" / "encoders" / made.encoder_id)
    versions = [{"table": table, "version": version} for table, version in sorted(warehouse.versions().items())]
    config = PipelineConfig.model_validate(CONFIG)
    row = {
        "release_id": f"{as_of}-a", "as_of": as_of, "parent_release_id": None, "verdict": "published", "reasons": [],
        "encoder_id": made.encoder_id, "config_digest": "c", "config": config.model_dump_json(), "metrics": [],
        "table_versions": [entry for entry in versions if entry["table"] not in ("releases", *table_names("cache"))],
    }  # fmt: skip
    warehouse.upsert("releases", arrow("releases", [row]))
    return warehouse


def in_bucket(user: str) -> int:
    """Where the user's rows are."""
    return zlib.crc32(user.encode()) % BUCKETS


def _user(made: Encoder, user: str, liked: list[str], profiles: dict[str, np.ndarray]) -> Row:
    raw = 0.5 ** (np.arange(len(liked)) / 3)
    encoded = made.encode_interactions(np.stack([profiles[item] for item in liked])) * raw[:, None]
    norm = np.linalg.norm(encoded.sum(0))
    return {
        "encoder_id": "enc1", "user_id": user, "inputs_hash": "h", "vector": (encoded.sum(0) / norm).tolist(),
        "interactions": [
            {"review_id": f"{user}-{item}", "item_id": item, "profile_hash": f"profile-{item}", "weight": weight}
            for item, weight in zip(liked, (raw / norm).tolist(), strict=True)
        ],
    }  # fmt: skip


def _lists(made: Encoder, found: dict[str, list[Row]], profiles: dict[str, np.ndarray]) -> list[Row]:
    ranking = RankingInputs.of(made, arrow("persona_vectors", found["persona_vectors"]), 3, 2**20)
    reviewed_by = {row["user_id"]: row["reviewed_item_ids"] for row in found["user_histories"]}
    users = []
    for row in found["user_vectors"]:
        told = sorted(row["interactions"], key=lambda i: i["review_id"])
        met = [
            {k: i[k] for k in ("review_id", "item_id", "weight")} | {"vector": profiles[i["item_id"]].tolist()}
            for i in told
        ]
        users.append({"user_id": row["user_id"], "interactions": met, "reviewed_item_ids": reviewed_by[row["user_id"]]})
    personas = {row["persona_id"]: row for row in found["item_personas"]}
    titles = {row["item_id"]: row["title"] for row in found["items"]}
    titles["strings"] = "Bronze strings"
    rows: list[Row] = rank_users(ranking, pa.Table.from_pylist(users, schema=_USERS)).to_pylist()
    return [_row(row, personas[row["persona_id"]], titles) for row in rows]


def _row(ranked: Row, persona: Row, titles: dict[str, Any]) -> Row:
    evidence, written_by = persona["evidence"][:2], persona["persona_source"]
    source = "metadata_persona" if written_by == "metadata" else "persona"
    sums: dict[str, float] = {}
    for share in ranked["contributions"]:
        kind = "interaction" if share["kind"] == "other_personas" else share["kind"]
        sums[kind] = sums.get(kind, 0.0) + share["share"]
    nearest, quotes = max(sums, key=lambda kind: sums[kind]), quoted(written_by, persona["stance"], evidence)
    why = explanation(written_by, persona["preference_rationale"], nearest, quotes, of_ones_own(None))
    return {
        **ranked, "item_title": titles[ranked["item_id"]], "persona_name": persona["name"], "explanation": why,
        "evidence": evidence, "recommendation_source": source, "encoder_id": "enc1", "changed_as_of": AS_OF,
        "user_bucket": in_bucket(ranked["user_id"]),
    }  # fmt: skip
