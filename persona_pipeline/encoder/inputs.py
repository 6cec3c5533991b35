"""Tables to the texts the encoder reads, each with its key in `text_embeddings`."""

import pyarrow as pa

from persona_pipeline.encoder.texts import ASPECT_COLUMNS, render_interactions, render_personas
from persona_pipeline.text_embeddings import text_hash
from persona_pipeline.warehouse import Warehouse


def persona_texts(warehouse: Warehouse) -> pa.Table:
    """Current personas as persona_id, item_id, text, text_hash; ordered by persona_id."""
    rows = warehouse.query(
        "SELECT persona_id, item_id, name, description, preference_rationale, summary "
        "FROM item_personas LEFT JOIN item_summaries USING (item_id) WHERE status = 'current' ORDER BY persona_id",
        ["item_personas", "item_summaries"],
    )
    columns = ("name", "description", "summary", "preference_rationale")
    return _with_text(rows, ["persona_id", "item_id"], render_personas(*(rows[c].combine_chunks() for c in columns)))


def liked_interaction_texts(warehouse: Warehouse, min_liked_rating: float) -> pa.Table:
    """The liked interactions in `user_histories` as user_id, review_id, item_id, text, text_hash.

    Ordered by user, newest first. The others are neither learnt from nor part of a user's vector.
    """
    rows = warehouse.query(
        """
        WITH interactions AS (
            SELECT user_id, unnest(interactions) AS i, generate_subscripts(interactions, 1) - 1 AS age FROM user_histories
        )
        SELECT interactions.user_id, i.review_id AS review_id, i.item_id AS item_id,
               summary, category_preference, purchase_purpose, quality_criteria, usage_context
        FROM interactions
        LEFT JOIN item_summaries ON item_summaries.item_id = i.item_id
        LEFT JOIN review_aspects ON review_aspects.review_id = i.review_id
        WHERE i.rating >= $min_liked_rating
        ORDER BY interactions.user_id, age
        """,
        ["user_histories", "item_summaries", "review_aspects"],
        {"min_liked_rating": min_liked_rating},
    )
    text = render_interactions(*(rows[c].combine_chunks() for c in ("summary", *ASPECT_COLUMNS)))
    return _with_text(rows, ["user_id", "review_id", "item_id"], text)


def _with_text(rows: pa.Table, kept: list[str], text: pa.Array) -> pa.Table:
    hashes = pa.array([text_hash(value) for value in text.to_pylist()], pa.string())
    return rows.select(kept).append_column("text", text).append_column("text_hash", hashes)
