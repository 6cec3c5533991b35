"""Rank items for one batch of users and attribute each score to contributions, Arrow in and out: the body of a Spark task.

Contributions (invariant 7): a user vector is sum_i w_i A h_i, so u . persona is a sum of one share per interaction; the
item's other personas, popularity, the collaborative prior and fused lists add shares of their own. The score is defined
as the sum of the rounded shares.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from persona_pipeline.core.arrays import offsets_of
from persona_pipeline.core.contribution_kinds import ContributionKind
from persona_pipeline.embeddings.vectors import vectors_of
from persona_pipeline.score.caps import top_under_caps
from persona_pipeline.score.item_index import ItemIndex, TopItems, exact_scores
from persona_pipeline.score.ranking_inputs import RankingInputs
from persona_pipeline.score.topk.kernel import top_items

RANKED_FIELDS = (
    "user_id string, rank int, item_id string, persona_id string, score double, "
    "contributions array<struct<kind:string,review_id:string,item_id:string,share:double>>"
)
_DIGITS = 9  # of a share
_BATCH_BYTES = 32 * 2**20  # of vectors that are multiplied at once


@dataclass(frozen=True, slots=True)
class UserSums:
    """User vectors together with their terms, one term per interaction, all users concatenated.

    Attributes:
        told: (interactions,) structs with review_id and item_id.
        owner: (interactions,) row of the user.
        parts: (interactions, d) float64, the term each interaction adds to its user's vector.
        vectors: (users, d) float64.
        prior: (users, items) sum of the score shares of the collaborative prior and of another recommender's lists.
        scales: (users,) factor of an item's popularity share.
        lifts: (users, items) the lists' part of `prior`; None where no lists are fused.
    """

    told: pa.StructArray
    owner: np.ndarray
    parts: np.ndarray
    vectors: np.ndarray
    prior: csr_array
    scales: np.ndarray
    lifts: csr_array | None = None

    @classmethod
    def build(
        cls, ranking: RankingInputs, told: pa.StructArray, counts: np.ndarray, profiles: np.ndarray
    ) -> "UserSums":
        """Build the sums from interactions as structs of review_id, item_id and weight, user after user.

        `counts` (users,) is the number of interactions of each user, `profiles` (interactions, d) the base embeddings
        of their items.
        """
        owner = np.repeat(np.arange(len(counts)), counts)
        weights = told.field("weight").to_numpy(zero_copy_only=False)
        parts = ranking.encoder.encode_interactions(profiles) * weights[:, None]
        vectors: np.ndarray = (
            csr_array((np.ones(len(owner)), (owner, np.arange(len(owner)))), (len(counts), len(owner))) @ parts
        )
        histories = ranking.encoder.prior.histories(owner, told.field("item_id"), weights, len(counts))
        prior = csr_array(histories @ ranking.prior)
        return cls(told, owner, parts, vectors, prior, ranking.encoder.popularity_scales(counts))

    def lifted(self, lifts: csr_array) -> "UserSums":
        """Add the score shares of another recommender's lists, (users, items)."""
        return replace(self, prior=csr_array(self.prior + lifts), lifts=lifts)


def rank_users(ranking: RankingInputs, users: pa.Table) -> pa.Table:
    """Rank items for a batch of users.

    Args:
        ranking: items, encoder, k.
        users: user_id, reviewed_item_ids (items to leave out), and interactions, a list of structs review_id, item_id,
            weight and vector (base embedding), in any order. A column candidate_item_ids, if present, names the only items to
            rank; null: all. A column candidate_ranks, if present, holds lists to fuse (`RankingInputs.lifts`). A column
            blocked_groups, if present, names groups of `ranking.groups` whose items to leave out; null: none.

    Returns:
        Columns of RANKED_FIELDS and `exact_score`, which decides the top k: `score` is the sum of rounded shares.
        Fewer than k rows for a user with fewer items left.
    """
    lists = users["interactions"].combine_chunks()
    told = lists.flatten()
    counts = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    histories = UserSums.build(ranking, told, counts, vectors_of(told.field("vector")))
    if "candidate_ranks" in users.column_names:
        histories = histories.lifted(ranking.lifts(users["candidate_ranks"].combine_chunks()))
    ranked = _top(ranking, histories, users)
    user, place = np.nonzero(ranked.items >= 0)
    rows = _told(ranking, histories, ranked, user, place)
    rows = rows.append_column("exact_score", pa.array(ranked.scores[user, place]))
    # By the score that is stored, which rounding may have moved by a billionth; `place` within a user is unchanged.
    by_score = rows.take(pa.array(np.lexsort((ranked.items[user, place], -rows["score"].to_numpy(), user))))
    named = by_score.add_column(0, "user_id", users["user_id"].combine_chunks().take(pa.array(user)))
    return named.add_column(1, "rank", pa.array((place + 1).astype(np.int32)))


def _top(ranking: RankingInputs, histories: UserSums, users: pa.Table) -> TopItems:
    """Rank items for the users of a batch under the caps of lists."""
    seen, only, groups = _places(ranking.item_index, users["reviewed_item_ids"]), _only(ranking, users), ranking.groups
    closed = [np.empty(0, np.int64)] * len(seen)
    if groups is not None and "blocked_groups" in users.column_names:
        closed = groups.closed(users["blocked_groups"].combine_chunks())

    def rank(chosen: np.ndarray, seen: list[np.ndarray], closed: list[np.ndarray], k: int) -> TopItems:
        return top_items(
            ranking.item_index,
            histories.vectors[chosen],
            seen,
            k,
            ranking.block_bytes,
            histories.prior[chosen],
            histories.scales[chosen],
            None if only is None else [only[user] for user in chosen],
            groups and groups.members,
            closed,
            device=ranking.device,
            precision=ranking.precision,
        )

    if groups is None or not ranking.capped:
        return rank(np.arange(len(seen)), seen, closed, ranking.k)
    return top_under_caps(rank, groups, seen, closed, ranking.k)


def explain(ranking: RankingInputs, history: UserSums, items: np.ndarray) -> pa.Table:
    """Return item_id, persona_id, score and contributions of one user's given items, in order, as `rank_users` does."""
    ranked = _given(ranking, history, items)
    return _told(ranking, history, ranked, np.zeros(len(items), np.int64), np.arange(len(items)))


def score_items(ranking: RankingInputs, history: UserSums, items: np.ndarray) -> np.ndarray:
    """Return one user's scores of given items, (n,), in the order given: equal to those of `rank_users` to 1e-9."""
    ranked = _given(ranking, history, items)
    winning = ranking.item_index.vectors[ranked.personas[0]].astype(np.float64)
    whole = _whole(ranking, history, ranked, np.zeros(len(items), np.int64), np.arange(len(items)))
    shares = np.vstack([history.parts @ winning.T, *whole.values()])
    scores: np.ndarray = np.round(np.round(shares, _DIGITS).sum(0), _DIGITS)
    return scores


def _given(ranking: RankingInputs, history: UserSums, items: np.ndarray) -> TopItems:
    prior = history.prior if history.prior.nnz else None  # looking up nothing takes longer than all the rest
    return exact_scores(ranking.item_index, history.vectors, items[None], prior, history.scales)


def _only(ranking: RankingInputs, users: pa.Table) -> list[np.ndarray | None] | None:
    if "candidate_item_ids" not in users.column_names:
        return None
    given = users["candidate_item_ids"].is_valid().to_pylist()
    places = _places(ranking.item_index, users["candidate_item_ids"])
    return [place if some else None for place, some in zip(places, given, strict=True)]


def _places(item_index: ItemIndex, item_ids: pa.ChunkedArray) -> list[np.ndarray]:
    """Map each user's item ids to indices in the item index, dropping unknown items; an empty array where the list is null."""
    lists = item_ids.combine_chunks()
    index = pc.index_in(lists.flatten(), pa.array(item_index.item_ids, pa.string()))
    ends = np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False))[:-1]
    found = pc.fill_null(index, -1).to_numpy(zero_copy_only=False)
    return [part[part >= 0] for part in np.split(found, ends)]


def _shares(
    ranking: RankingInputs,
    histories: UserSums,
    personas: np.ndarray,
    user: np.ndarray,
    first: np.ndarray,
    count: np.ndarray,
) -> np.ndarray:
    """Dot product of every interaction vector of a recommendation's user with the winning persona, flattened by recommendation.

    `personas` and `user` (n,) are those of the recommendations, users ascending; `first` and `count` (users,) are the
    offset and number of a user's interactions. Users with equal numbers of interactions and recommendations are
    multiplied together, so that each vector is fetched once.
    """
    starts, d = np.cumsum(count[user]) - count[user], histories.parts.shape[1]
    shares = np.empty(int(count[user].sum()))
    who, where, many = np.unique(user, return_index=True, return_counts=True)
    for interactions, places in np.unique(np.column_stack([count[who], many]), axis=0).tolist():
        alike = np.flatnonzero((count[who] == interactions) & (many == places))
        step = max(1, _BATCH_BYTES // (8 * d * (interactions + places)))
        for low in range(0, len(alike), step):
            some = alike[low : low + step]
            rows = where[some][:, None] + np.arange(places)  # (users, places)
            parts = histories.parts[first[who[some]][:, None] + np.arange(interactions)]
            winning = ranking.item_index.vectors[personas[rows]].astype(np.float64)
            shares[starts[rows][..., None] + np.arange(interactions)] = winning @ parts.swapaxes(1, 2)
    return shares


def _whole(
    ranking: RankingInputs, histories: UserSums, ranked: TopItems, user: np.ndarray, place: np.ndarray
) -> dict[ContributionKind, np.ndarray]:
    """Score shares (n,) that belong to no interaction, by kind, of recommendations given by user row and rank."""
    items, prior = ranked.items[user, place], ranked.prior[user, place]
    shares = {
        ContributionKind.OTHER_PERSONAS: ranked.others[user, place],
        ContributionKind.POPULARITY: ranking.item_index.popularity[items] * histories.scales[user],
        ContributionKind.PRIOR: prior,
    }
    if histories.lifts is not None:
        lifted = histories.lifts[user[:, None], items[:, None]].toarray()[:, 0]
        shares |= {ContributionKind.PRIOR: prior - lifted, ContributionKind.CANDIDATES: lifted}
    return shares


def _told(
    ranking: RankingInputs, histories: UserSums, ranked: TopItems, user: np.ndarray, place: np.ndarray
) -> pa.Table:
    """Assemble item_id, persona_id, score and contributions of recommendations given by user row and rank, (n,) each."""
    items, personas = ranked.items[user, place], ranked.personas[user, place]
    # Every (recommendation, interaction) combination of the same user, then the shares that are whole.
    owner, users = histories.owner, len(histories.vectors)
    first = np.searchsorted(owner, np.arange(users))
    count = np.bincount(owner, minlength=users)
    row = np.repeat(np.arange(len(user)), count[user])
    member = np.arange(len(row)) - np.repeat(np.cumsum(count[user]) - count[user], count[user]) + first[user][row]
    shares = _shares(ranking, histories, personas, user, first, count)
    whole = _whole(ranking, histories, ranked, user, place)
    rows = np.concatenate([row, np.tile(np.arange(len(user)), len(whole))])
    values = np.round(np.concatenate([shares, *whole.values()]), _DIGITS)
    kinds = np.repeat(
        [kind.value for kind in (ContributionKind.INTERACTION, *whole)], [len(row), *[len(user)] * len(whole)]
    )
    source = pa.array(np.concatenate([member, np.full(len(whole) * len(user), -1)]))
    source = pc.if_else(pc.less(source, 0), pa.scalar(None, pa.int64()), source)
    order = np.lexsort((np.arange(len(rows)), -values, rows))
    kept = order[(values[order] != 0) | (kinds[order] == ContributionKind.INTERACTION.value)]
    structs = pa.StructArray.from_arrays(
        [
            pa.array(kinds[kept], pa.string()),
            histories.told.field("review_id").take(source.take(pa.array(kept))),
            histories.told.field("item_id").take(source.take(pa.array(kept))),
            pa.array(values[kept]),
        ],
        ["kind", "review_id", "item_id", "share"],
    )
    lengths = np.bincount(rows[kept], minlength=len(user))
    offsets = offsets_of(lengths).astype(np.int32)
    return pa.table(
        {
            "item_id": pa.array(ranking.item_index.item_ids[items], pa.string()),
            "persona_id": pa.array(ranking.persona_ids[personas], pa.string()),
            "score": pa.array(
                np.round(np.add.reduceat(values[kept], offsets[:-1]), _DIGITS) if len(user) else np.empty(0)
            ),
            "contributions": pa.ListArray.from_arrays(pa.array(offsets), structs),
        }
    )
