"""Sample the pairs an LLM judge labels, from `user_histories`, `item_personas` and `reviews`.

A pair is a liked interaction with the user's earlier interactions, liked or not, and an item with at least two current
personas to choose from. A persona that rests on this one review would leak the label and is left out, as from
`training_pairs`.
"""

from typing import Any, TypedDict, cast

from persona_pipeline.core.item_titles import title_sql
from persona_pipeline.extract.llm.citable import citable, headline
from persona_pipeline.extract.types import ReviewText, Stance
from persona_pipeline.warehouse import Warehouse

HISTORY = 5  # earlier interactions shown at most: what a person is like now is in the most recent
LIKED = 4.0  # least rating shown to the judge as a like; `training_pairs.min_liked_rating` of user vectors is another setting
_CHARACTERS = 300  # of a review, whole sentences, and at least one


class LikedInteraction(TypedDict):
    """An interaction as shown to the judge: the item's title, as far as known, and the user's rating and review."""

    title: str | None
    rating: str
    said: str


class PersonaOption(TypedDict):
    """A persona of the item, as shown to the judge."""

    persona_id: str
    name: str
    description: str
    preference_rationale: str
    stance: Stance


class LabellingPair(TypedDict):
    """A user and an item they liked; `history` newest first, `personas` in their order, `review_ids` of all reviews shown."""

    user_id: str
    item_id: str
    review_id: str
    target: LikedInteraction
    history: list[LikedInteraction]
    personas: list[PersonaOption]
    review_ids: list[str]


_PAIRS = """
    WITH targets AS (
        SELECT user_id, met[age].item_id AS item_id, met[age].review_id AS review_id, met[age : age + $history] AS shown
        FROM (SELECT user_id, met, unnest(range(1, len(met))) AS age FROM (
            -- An event says nothing that a judge could read.
            SELECT user_id, list_filter(interactions, lambda i: i.review_id IS NOT NULL) AS met FROM user_histories))
        WHERE met[age].rating >= $liked
    ), choosable AS (
        SELECT item_id, persona_id, "position", name, description, preference_rationale, stance,
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
            'title': ITEM_TITLE, 'review_id': i.review_id, 'rating': i.rating, 'headline': reviews.title,
            'text': coalesce(reviews.text, '')} AS met
        FROM shown LEFT JOIN items ON items.item_id = i.item_id
        LEFT JOIN item_summaries ON item_summaries.item_id = i.item_id
        LEFT JOIN reviews ON reviews.review_id = i.review_id
    ), histories AS (
        SELECT user_id, item_id, list(met ORDER BY place) AS met FROM told GROUP BY user_id, item_id
    ), options AS (
        SELECT user_id, item_id, review_id, list({'persona_id': persona_id, 'name': name, 'description': description,
            'preference_rationale': preference_rationale, 'stance': stance} ORDER BY "position") AS personas
        FROM sampled JOIN choosable USING (item_id) WHERE quoted <> [review_id] GROUP BY user_id, item_id, review_id
    )
    SELECT user_id, item_id, review_id, met, personas
    FROM options JOIN histories USING (user_id, item_id) ORDER BY user_id, item_id
""".replace("ITEM_TITLE", title_sql("items.title"))


def pairs_to_judge(warehouse: Warehouse, most: int) -> list[LabellingPair]:
    """Sample at most `most` pairs by a hash of user and item: the same ones every night, as far as they still exist."""
    tables = ["user_histories", "item_personas", "items", "item_summaries", "reviews"]
    settings = {"liked": LIKED, "most": most, "history": HISTORY}
    return [_pair(row) for row in warehouse.query(_PAIRS, tables, settings).to_pylist()]


def _pair(row: dict[str, Any]) -> LabellingPair:
    met = row.pop("met")
    target, *history = [_told(one) for one in met]
    return cast(
        LabellingPair, {**row, "target": target, "history": history, "review_ids": [one["review_id"] for one in met]}
    )


def _told(met: dict[str, Any]) -> LikedInteraction:
    """Shorten a review to whole citable sentences."""
    review = ReviewText(met["review_id"], "", "", met["rating"], met["text"], met["headline"])
    said = headline(review)
    for sentence in citable(review):
        if said and len(said) + len(sentence.quote) > _CHARACTERS:
            break
        said = f"{said}{' ' if said else ''}{sentence.quote}"
    return {"title": met["title"], "rating": f"{met['rating']:g}", "said": said}
