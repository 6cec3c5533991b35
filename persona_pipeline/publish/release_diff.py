"""Compare `user_item_topk` of two releases row by row, and attribute each difference to one cause.

A row is an item in a user's list; it was `added`, `removed`, `moved` to another place, `reworded` (same place,
other text), or `rescored` (nothing a reader sees). Its cause is the first of these that holds:

1. `reviews`: the user's own history changed.
2. `personas`: the item is new, or its personas or their texts changed; or, under the same encoder, the embedding of an
   item in the user's history.
3. `encoder`: the releases have different encoders.
4. `prior`: popularity, the collaborative prior or another recommender's list adds another share to the score.
5. `other`: none of these, a new title for instance.

A row to which none of the first four applies was moved by other rows of the same list, and takes the first of their
causes. So causes add up. A user counts once, under the first cause in the list.
"""

from dataclasses import dataclass

from persona_pipeline.core.contribution_kinds import ContributionKind
from persona_pipeline.publish.releases import Release
from persona_pipeline.warehouse import Warehouse

CHANGES = ("added", "removed", "moved", "reworded", "rescored")
CAUSES = ("reviews", "personas", "encoder", "prior", "other")

_COMPARED = ("user_item_topk", "user_histories", "user_vectors", "item_personas", "persona_vectors")

_NOT_OF_PERSONAS = ", ".join(f"'{kind}'" for kind in ContributionKind if not kind.of_personas)

# A release from before there were events says of reviews neither their interaction's id nor its weight.
_MET = """list_transform({}.interactions, lambda i: (
    coalesce(i.interaction_id, i.review_id), i.item_id, i.rating, coalesce(i.weight, 1), i.reviewed_at))"""

_SQL = f"""
WITH moved_histories AS (
    SELECT user_id FROM user_histories_before AS a FULL JOIN user_histories_after AS b USING (user_id)
    WHERE {_MET.format("a")} IS DISTINCT FROM {_MET.format("b")} OR a.reviewed_item_ids IS DISTINCT FROM b.reviewed_item_ids
), moved_inputs AS (
    SELECT user_id FROM user_vectors_before AS a FULL JOIN user_vectors_after AS b USING (user_id)
    WHERE NOT $other_encoder AND a.inputs_hash IS DISTINCT FROM b.inputs_hash
), said_before AS (
    SELECT item_id, bit_xor(hash(persona_id, name, description, preference_rationale, evidence)) AS said
    FROM item_personas_before WHERE status = 'current' GROUP BY item_id
), said_after AS (
    SELECT item_id, bit_xor(hash(persona_id, name, description, preference_rationale, evidence)) AS said
    FROM item_personas_after WHERE status = 'current' GROUP BY item_id
), ground_before AS (
    SELECT item_id, bit_xor(hash(persona_id, profile_hash)) AS ground FROM persona_vectors_before GROUP BY item_id
), ground_after AS (
    SELECT item_id, bit_xor(hash(persona_id, profile_hash)) AS ground FROM persona_vectors_after GROUP BY item_id
), moved_items AS (
    SELECT item_id FROM said_before AS a FULL JOIN said_after AS b USING (item_id) WHERE a.said IS DISTINCT FROM b.said
    UNION
    -- An encoder brings profiles of its own.
    SELECT item_id FROM ground_before AS a FULL JOIN ground_after AS b USING (item_id)
    WHERE NOT $other_encoder AND a.ground IS DISTINCT FROM b.ground
), pairs AS (
    SELECT user_id, item_id, a."rank" AS old, b."rank" AS new,
        (a.item_title, a.persona_id, a.persona_name, a.explanation, a.evidence)
            IS DISTINCT FROM (b.item_title, b.persona_id, b.persona_name, b.explanation, b.evidence) AS reworded,
        a.score <> b.score OR a.contributions <> b.contributions OR a.encoder_id <> b.encoder_id AS rescored,
        list_sum(list_transform(
            list_filter(a.contributions, lambda c: c.kind IN ({_NOT_OF_PERSONAS})), lambda c: c.share))
            IS DISTINCT FROM
        list_sum(list_transform(
            list_filter(b.contributions, lambda c: c.kind IN ({_NOT_OF_PERSONAS})), lambda c: c.share))
            AS prior
    FROM user_item_topk_before AS a FULL JOIN user_item_topk_after AS b USING (user_id, item_id)
), changed AS (
    SELECT user_id, item_id, prior AND old IS NOT NULL AND new IS NOT NULL AS prior,
        CASE WHEN old IS NULL THEN 'added' WHEN new IS NULL THEN 'removed' WHEN old <> new THEN 'moved'
            WHEN reworded THEN 'reworded' WHEN rescored THEN 'rescored' END AS change
    FROM pairs
), own AS (
    SELECT changed.*, CASE
        WHEN user_id IN (SELECT user_id FROM moved_histories) THEN 1
        WHEN item_id IN (SELECT item_id FROM moved_items) OR user_id IN (SELECT user_id FROM moved_inputs) THEN 2
        WHEN $other_encoder THEN 3
        WHEN prior THEN 4 END AS cause
    FROM changed WHERE change IS NOT NULL
), caused AS (
    SELECT user_id, change, coalesce(cause, min(cause) OVER (PARTITION BY user_id), 5) AS cause FROM own
), users AS (
    SELECT user_id, min(cause) AS cause FROM caused WHERE change <> 'rescored' GROUP BY user_id
)
SELECT cause, change, count(*) AS found FROM caused GROUP BY ALL
UNION ALL
SELECT cause, 'users', count(*) FROM users GROUP BY ALL
"""


@dataclass(frozen=True, slots=True)
class ReleaseDiff:
    """Differences between two releases.

    Attributes:
        users: users with a list, before and after.
        lists: users whose list looks different, by cause.
        rows: differing rows by cause and change.
    """

    users: tuple[int, int]
    lists: dict[str, int]
    rows: dict[str, dict[str, int]]


def release_diff(warehouse: Warehouse, before: Release, after: Release) -> ReleaseDiff:
    """Compare `user_item_topk` of two releases; DuckDB streams it and joins on user and item.

    Raises PipelineError where a table version is gone.
    """
    tables = {
        f"{table}_{name}": warehouse.dataset(table, release.versions[table])
        for table in _COMPARED
        for name, release in (("before", before), ("after", after))
    }
    parameters = {"other_encoder": before.encoder_id != after.encoder_id}
    found = warehouse.query(_SQL, [], parameters, **tables).to_pylist()
    by_cause = {cause: dict.fromkeys((*CHANGES, "users"), 0) for cause in CAUSES}
    for row in found:
        by_cause[CAUSES[row["cause"] - 1]][row["change"]] = row["found"]
    lists = {cause: counts.pop("users") for cause, counts in by_cause.items()}
    counts = [
        warehouse.query(
            "SELECT count(DISTINCT user_id) AS users FROM lists", [], lists=tables[f"user_item_topk_{name}"]
        )
        for name in ("before", "after")
    ]
    one, other = (int(count["users"][0].as_py()) for count in counts)
    return ReleaseDiff((one, other), lists, by_cause)
