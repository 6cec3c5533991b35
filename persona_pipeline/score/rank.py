"""One batch of users, as Arrow, to their ranked items with contributions, as Arrow: what a Spark task runs.

Contributions (invariant 7): a user is sum_i w_i A h_i, so u . persona is a sum of one share per interaction; what other
personas, popularity and the collaborative prior add are shares of their own. The score is defined as the sum of the rounded shares.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from persona_pipeline.config import UserItemTopkConfig
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.score.kernel import top_items
from persona_pipeline.score.shelf import Ranked, Shelf
from persona_pipeline.text_embeddings import vectors_of

RANKED_FIELDS = (
    "user_id string, rank int, item_id string, persona_id string, score double, "
    "contributions array<struct<kind:string,review_id:string,item_id:string,share:double>>"
)


@dataclass(frozen=True, slots=True)
class Ranking:
    """What every task needs; broadcast once. `prior` (prior items, items) is `Encoder.prior_onto` the shelf."""

    shelf: Shelf
    persona_ids: np.ndarray
    encoder: Encoder
    prior: csr_array
    k: int
    block_bytes: int
    shelf_bytes: int = UserItemTopkConfig().shelf_bytes

    @classmethod
    def of(
        cls,
        encoder: Encoder,
        personas: pa.Table,
        k: int,
        block_bytes: int,
        shelf_bytes: int = UserItemTopkConfig().shelf_bytes,
    ) -> "Ranking":
        """Of rows of `persona_vectors` of one encoder, ordered by item and persona."""
        items, persona_ids = (personas[c].to_numpy(zero_copy_only=False).astype(str) for c in ("item_id", "persona_id"))
        names = np.unique(items).tolist()
        popularity = dict(zip(names, encoder.popularity_shares(names).tolist(), strict=True))
        fusion = encoder.config
        shelf = Shelf.build(items, vectors_of(personas["vector"]), popularity, fusion.temperature, fusion.aggregation)
        return cls(shelf, persona_ids, encoder, encoder.prior_onto(shelf.item_ids), k, block_bytes, shelf_bytes)

    def blocks(self) -> Iterator["Ranking"]:
        """The same against a part of the items each, of at most `shelf_bytes` of vectors."""
        for start, stop in self.shelf.spans(self.shelf_bytes):
            first = int(self.shelf.slots[start, 0])
            shelf = self.shelf.part(start, stop)
            ids = self.persona_ids[first : first + len(shelf.vectors)]
            yield replace(self, shelf=shelf, persona_ids=ids, prior=csr_array(self.prior[:, start:stop]))


def rank_users(ranking: Ranking, users: pa.Table) -> pa.Table:
    """Ranked items of users.

    Args:
        ranking: items, encoder, k.
        users: user_id, reviewed_item_ids (items to leave out), and interactions, a list of structs review_id, item_id,
            weight and vector (base embedding), in any order.

    Returns:
        Columns of RANKED_FIELDS and `exact_score`, which decided who is among the k: `score` is the sum of rounded shares.
        Fewer than k rows for a user with fewer items left.
    """
    lists = users["interactions"].combine_chunks()
    flat = lists.flatten()
    counts = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    owner = np.repeat(np.arange(len(lists)), counts)
    encoded = ranking.encoder.encode_interactions(vectors_of(flat.field("vector")))
    weights = flat.field("weight").to_numpy(zero_copy_only=False)
    parts = encoded * weights[:, None]  # (interactions, d)
    vectors = np.zeros((len(lists), parts.shape[1]))
    np.add.at(vectors, owner, parts)
    histories = ranking.encoder.prior.histories(owner, flat.field("item_id"), weights, len(lists))
    prior = csr_array(histories @ ranking.prior)
    scales = ranking.encoder.popularity_scales(counts)
    seen = _seen(ranking.shelf, users)
    ranked = top_items(ranking.shelf, vectors, seen, ranking.k, ranking.block_bytes, prior, scales)
    return _rows(ranking, users["user_id"].combine_chunks(), ranked, parts, flat, owner, scales)


def _seen(shelf: Shelf, users: pa.Table) -> list[np.ndarray]:
    lists = users["reviewed_item_ids"].combine_chunks()
    index = pc.index_in(lists.flatten(), pa.array(shelf.item_ids, pa.string()))
    ends = np.cumsum(pc.list_value_length(lists).to_numpy(zero_copy_only=False))[:-1]
    found = pc.fill_null(index, -1).to_numpy(zero_copy_only=False)
    return [part[part >= 0] for part in np.split(found, ends)]


def _rows(
    ranking: Ranking,
    user_ids: pa.Array,
    ranked: Ranked,
    parts: np.ndarray,
    flat: pa.StructArray,
    owner: np.ndarray,
    scales: np.ndarray,
) -> pa.Table:
    user, place = np.nonzero(ranked.items >= 0)
    items, personas = ranked.items[user, place], ranked.personas[user, place]
    # Every (recommendation, interaction) combination of the same user, then three more shares per recommendation.
    first = np.searchsorted(owner, np.arange(len(user_ids)))
    count = np.bincount(owner, minlength=len(user_ids))
    row = np.repeat(np.arange(len(user)), count[user])
    member = np.arange(len(row)) - np.repeat(np.cumsum(count[user]) - count[user], count[user]) + first[user][row]
    winning = ranking.shelf.vectors[personas].astype(np.float64)
    shares = np.einsum("nd,nd->n", parts[member], winning[row])
    liked = ranking.shelf.popularity[items] * scales[user]
    whole = (ranked.others[user, place], liked, ranked.prior[user, place])
    rows = np.concatenate([row, np.tile(np.arange(len(user)), len(whole))])
    values = np.round(np.concatenate([shares, *whole]), 9)
    kinds = np.repeat(["interaction", "other_personas", "popularity", "prior"], [len(row), *[len(user)] * len(whole)])
    source = pa.array(np.concatenate([member, np.full(len(whole) * len(user), -1)]))
    source = pc.if_else(pc.less(source, 0), pa.scalar(None, pa.int64()), source)
    order = np.lexsort((np.arange(len(rows)), -values, rows))
    kept = order[(values[order] != 0) | (kinds[order] == "interaction")]
    structs = pa.StructArray.from_arrays(
        [
            pa.array(kinds[kept], pa.string()),
            flat.field("review_id").take(source.take(pa.array(kept))),
            flat.field("item_id").take(source.take(pa.array(kept))),
            pa.array(values[kept]),
        ],
        ["kind", "review_id", "item_id", "share"],
    )
    lengths = np.bincount(rows[kept], minlength=len(user))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    scores = np.round(np.add.reduceat(values[kept], offsets[:-1]), 9) if len(user) else np.empty(0)
    ranked_rows = pa.table(
        {
            "user_id": user_ids.take(pa.array(user)),
            "item_id": pa.array(ranking.shelf.item_ids[items], pa.string()),
            "persona_id": pa.array(ranking.persona_ids[personas], pa.string()),
            "score": pa.array(scores),
            "contributions": pa.ListArray.from_arrays(pa.array(offsets), structs),
            "exact_score": pa.array(ranked.scores[user, place]),
        }
    )
    # By the score that is stored, which rounding may have moved by a billionth; `place` within a user is unchanged.
    by_score = ranked_rows.take(pa.array(np.lexsort((items, -scores, user))))
    return by_score.add_column(1, "rank", pa.array((place + 1).astype(np.int32)))
