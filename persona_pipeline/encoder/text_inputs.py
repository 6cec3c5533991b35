"""Read the texts an encoder embeds (personas, interactions, evidence, item fields) from tables, with their embedding keys."""

import pyarrow as pa
import pyarrow.compute as pc

from persona_pipeline.config import CONTENT_FIELDS
from persona_pipeline.embeddings.cache import text_hash
from persona_pipeline.encoder.texts import render_content, render_interactions, render_personas
from persona_pipeline.warehouse import Warehouse


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


def liked_histories(warehouse: Warehouse, min_liked_rating: float) -> pa.Table:
    """Read liked interactions of all users as user_id, review_id, item_id, day; by user, newest first. No text is read."""
    return warehouse.query(
        """
        WITH interactions AS (
            SELECT user_id, unnest(interactions) AS i, generate_subscripts(interactions, 1) - 1 AS age FROM user_histories
        )
        SELECT user_id, i.review_id AS review_id, i.item_id AS item_id, epoch(i.reviewed_at) / 86400 AS day
        FROM interactions WHERE i.rating >= $min_liked_rating ORDER BY user_id, age
        """,
        ["user_histories"],
        {"min_liked_rating": min_liked_rating},
    )


def liked_interaction_texts(warehouse: Warehouse, min_liked_rating: float) -> pa.Table:
    """Read the liked interactions in `user_histories` as user_id, review_id, item_id, day, text, text_hash.

    `day` is the review's time in days since 1970. Ordered by user, newest first. Interactions that are not liked are
    neither training data nor part of a user's vector.
    """
    rows = warehouse.query(
        """
        WITH interactions AS (
            SELECT user_id, unnest(interactions) AS i, generate_subscripts(interactions, 1) - 1 AS age FROM user_histories
        )
        SELECT interactions.user_id, i.review_id AS review_id, i.item_id AS item_id,
               epoch(i.reviewed_at) / 86400 AS day, text AS said
        FROM interactions LEFT JOIN reviews ON reviews.review_id = i.review_id
        WHERE i.rating >= $min_liked_rating
        ORDER BY interactions.user_id, age
        """,
        ["user_histories", "reviews"],
        {"min_liked_rating": min_liked_rating},
    )
    text = render_interactions(rows["said"].combine_chunks())
    return _with_text(rows, ["user_id", "review_id", "item_id", "day"], text)


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
