"""`user_histories`, `item_personas` and `review_aspects` to the pairs a judge is asked about.

A pair is a liked interaction with liked ones before it, and an item with at least two current personas to choose from.
A persona that rests on this one review would give the answer away and is left out, as it is from `training_pairs`.
"""

from typing import TypedDict, cast

from persona_pipeline.titles import title_sql
from persona_pipeline.warehouse import Warehouse

HISTORY = 5  # earlier liked interactions shown at most: what a person is like now is in the most recent


class Said(TypedDict):
    """One aspect of a review."""

    aspect: str
    text: str


class Liked(TypedDict):
    """An interaction as it is shown: what the item is called, as far as known, and what the user said of it."""

    title: str | None
    aspects: list[Said]


class Choosable(TypedDict):
    """A persona of the item."""

    persona_id: str
    name: str
    description: str
    preference_rationale: str


class Pair(TypedDict):
    """A user and an item they liked; `history` newest first, `personas` in their order."""

    user_id: str
    item_id: str
    review_id: str
    target: Liked
    history: list[Liked]
    personas: list[Choosable]


_PAIRS = """
    WITH liked AS (
        SELECT user_id, list_filter(interactions, lambda i: i.rating >= $min_liked_rating) AS liked FROM user_histories
    ), targets AS (
        SELECT user_id, liked[age].item_id AS item_id, liked[age].review_id AS review_id,
               liked[age : age + $history] AS shown
        FROM (SELECT user_id, liked, unnest(range(1, len(liked))) AS age FROM liked)
    ), choosable AS (
        SELECT item_id, persona_id, "position", name, description, preference_rationale,
               list_distinct(list_transform(list_filter(evidence, lambda e: e.kind = 'review'), lambda e: e.ref)) AS quoted
        FROM item_personas WHERE status = 'current'
    ), drawn AS MATERIALIZED (
        SELECT user_id, item_id, review_id FROM targets JOIN choosable USING (item_id) WHERE quoted <> [review_id]
        GROUP BY user_id, item_id, review_id HAVING count(*) >= 2
        ORDER BY sha256(concat_ws(chr(31), user_id, item_id)), user_id, item_id LIMIT $most
    ), sampled AS MATERIALIZED (
        -- Histories of the drawn pairs alone: carried through the draw, those of all pairs would have to be sorted.
        SELECT user_id, item_id, review_id, shown FROM targets JOIN drawn USING (user_id, item_id, review_id)
    ), shown AS (
        SELECT user_id, item_id, unnest(shown) AS i, generate_subscripts(shown, 1) AS place FROM sampled
    ), told AS (
        SELECT shown.user_id, shown.item_id, place, {
            'title': ITEM_TITLE,
            'aspects': list_filter([
                {'aspect': 'category_preference', 'text': category_preference},
                {'aspect': 'purchase_purpose', 'text': purchase_purpose},
                {'aspect': 'quality_criteria', 'text': quality_criteria},
                {'aspect': 'usage_context', 'text': usage_context}], lambda a: a.text IS NOT NULL)} AS liked
        FROM shown LEFT JOIN items ON items.item_id = i.item_id
        LEFT JOIN item_summaries ON item_summaries.item_id = i.item_id
        LEFT JOIN review_aspects ON review_aspects.review_id = i.review_id
    ), histories AS (
        SELECT user_id, item_id, any_value(liked) FILTER (place = 1) AS target,
               list(liked ORDER BY place) FILTER (place > 1) AS history
        FROM told GROUP BY user_id, item_id
    ), options AS (
        SELECT user_id, item_id, review_id, list({'persona_id': persona_id, 'name': name, 'description': description,
            'preference_rationale': preference_rationale} ORDER BY "position") AS personas
        FROM sampled JOIN choosable USING (item_id) WHERE quoted <> [review_id] GROUP BY user_id, item_id, review_id
    )
    SELECT user_id, item_id, review_id, target, history, personas
    FROM options JOIN histories USING (user_id, item_id) ORDER BY user_id, item_id
""".replace("ITEM_TITLE", title_sql("items.title"))


def pairs_to_judge(warehouse: Warehouse, min_liked_rating: float, most: int) -> list[Pair]:
    """At most `most` pairs, drawn by a hash of user and item: the same ones every night, as far as they are still there."""
    tables = ["user_histories", "item_personas", "items", "item_summaries", "review_aspects"]
    settings = {"min_liked_rating": min_liked_rating, "most": most, "history": HISTORY}
    return cast(list[Pair], warehouse.query(_PAIRS, tables, settings).to_pylist())
