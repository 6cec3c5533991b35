"""Read the texts an encoder embeds (personas, interactions, evidence, item fields) from tables, with their embedding keys."""

import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.config import CONTENT_FIELDS
from persona_pipeline.core.interactions import liked_sql
from persona_pipeline.embeddings.cache import text_hash
from persona_pipeline.encoder.texts import render_content, render_interactions, render_personas
from persona_pipeline.keyed import Source
from persona_pipeline.warehouse import Warehouse

ITEM_SOURCES = (
    Source("item_reviews", "item_id", ("item_id", "evidence")),
    Source("items", "item_id", ("item_id", *CONTENT_FIELDS)),
    Source("item_summaries", "item_id", ("item_id", "summary")),
    Source(
        "item_personas",
        "item_id",
        ("persona_id", "item_id", "status", "stance", "name", "description", "preference_rationale"),
        "SELECT * FROM rows WHERE status = 'current'",
    ),
)
"""What the texts of items are made of: rows that belong to one item."""
USER_SOURCES = (
    Source("user_histories", "user_id", ("user_id", "interactions")),
    Source("reviews", "user_id", ("user_id", "review_id", "text")),
)
"""What the texts of interactions are made of: rows that belong to one user."""


def persona_texts(warehouse: Warehouse) -> pa.Table:
    """Read current personas as persona_id, item_id, text, text_hash; ordered by persona_id.

    Personas that dislike their item are left out: they are no reason to recommend it.
    """
    rows = warehouse.query(
        "SELECT persona_id, item_id, name, description, preference_rationale, summary "
        "FROM item_personas LEFT JOIN item_summaries USING (item_id) "
        "WHERE status = 'current' AND stance <> 'dislikes' ORDER BY persona_id",
        ["item_personas", "item_summaries"],
    )
    columns = ("name", "description", "summary", "preference_rationale")
    return _with_text(rows, ["persona_id", "item_id"], render_personas(*(rows[c].combine_chunks() for c in columns)))


_LIKED = ("interaction_id", "review_id", "item_id", "weight", "day")

# A history from before there were events names reviews alone, which weigh one.
_MET = f"""
    WITH met AS (
        SELECT user_id, unnest(interactions) AS i, generate_subscripts(interactions, 1) - 1 AS age FROM user_histories
    ), liked AS (
        SELECT user_id, coalesce(i.interaction_id, i.review_id) AS interaction_id, i.review_id AS review_id,
               i.item_id AS item_id, coalesce(i.weight, 1.0) AS weight, epoch(i.reviewed_at) / 86400 AS day, age
        FROM met WHERE {liked_sql("$min_liked_rating", "i.")}
    )
"""


def in_sample(share: float) -> str:
    """State as a condition that a row's user is in a sample of so large a share of them: by the hash of the id, the same always."""
    return f"md5_number_lower(user_id) / {2.0**64} < {share}" if share < 1 else "true"


def liked_histories(warehouse: Warehouse, min_liked_rating: float, share: float = 1.0) -> pa.Table:
    """Read what users liked as user_id, interaction_id, review_id, item_id, weight, day; by user, newest first.

    review_id is null for an event; no text is read. `share` of the users are read, those `in_sample`.
    """
    return warehouse.query(
        f"{_MET} SELECT user_id, {', '.join(_LIKED)} FROM liked WHERE {in_sample(share)} ORDER BY user_id, age",
        ["user_histories"],
        {"min_liked_rating": min_liked_rating},
    )


def liked_interaction_texts(warehouse: Warehouse, min_liked_rating: float) -> pa.Table:
    """Read what users liked as the columns of `liked_histories`, text and text_hash; the text of an event is empty.

    `day` is the interaction's time in days since 1970. Ordered by user, newest first. Interactions that are not liked
    are neither training data nor part of a user's vector.
    """
    rows = warehouse.query(
        f"""
        {_MET}
        SELECT liked.*, text AS said FROM liked LEFT JOIN (SELECT review_id, text FROM reviews) AS told USING (review_id)
        ORDER BY user_id, age
        """,
        ["user_histories", "reviews"],
        {"min_liked_rating": min_liked_rating},
    )
    text = render_interactions(rows["said"].combine_chunks())
    return _with_text(rows, ["user_id", *_LIKED], text)


def evidence_texts(warehouse: Warehouse) -> pa.Table:
    """Read the evidence of every item as item_id, review_id, text, text_hash; ordered by item and review."""
    rows = warehouse.query(
        "SELECT item_id, e.review_id AS review_id, e.text AS said "
        "FROM (SELECT item_id, unnest(evidence) AS e FROM item_reviews) ORDER BY item_id, review_id",
        ["item_reviews"],
    )
    return _with_text(rows, ["item_id", "review_id"], render_interactions(rows["said"].combine_chunks()))


def content_texts(warehouse: Warehouse) -> pa.Table:
    """Read the non-empty CONTENT_FIELDS of `items` as item_id, field, text, text_hash; ordered by item, then field."""
    rows = warehouse.query(f"SELECT item_id, {', '.join(CONTENT_FIELDS)} FROM items ORDER BY item_id", ["items"])
    parts = []
    for place, field in enumerate(CONTENT_FIELDS):
        found = pa.table(
            {
                "item_id": rows["item_id"],
                "field": pa.repeat(field, rows.num_rows),
                "place": pa.repeat(place, rows.num_rows),
            }
        )
        told = _with_text(found, found.column_names, render_content(rows[field].combine_chunks()))
        parts.append(told.filter(pc.not_equal(told["text"], "")))
    order = [("item_id", "ascending"), ("place", "ascending")]
    return pa.concat_tables(parts).sort_by(order).drop_columns(["place"])


def _with_text(rows: pa.Table, kept: list[str], text: pa.Array) -> pa.Table:
    hashes = pa.array([text_hash(value) for value in text.to_pylist()], pa.string())
    return rows.select(kept).append_column("text", text).append_column("text_hash", hashes)
