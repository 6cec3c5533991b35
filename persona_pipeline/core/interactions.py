"""Define in SQL, the same for DuckDB and Spark, what connects a user and an item: their review, or else their strongest event.

Events are rows of the table `interactions`: bought, played, returned, without words. Of the events of a user and an item
one counts, that of the largest absolute weight, the newest among equals: what was bought and sent back is not liked, and a
look at it afterwards does not change that. Where the user has reviewed the item, the review alone counts.

Ids of both share one namespace: a review's interaction id is its `review_id`, and ids of events begin with EVENT.
"""

EVENT = "event:"
"""What the id of every event begins with, so that no event has the id of a review."""

_MET = """
SELECT review_id AS interaction_id, review_id, user_id, item_id, 'review' AS kind, rating, CAST(1 AS DOUBLE) AS weight,
       reviewed_at AS occurred_at, source_file, source_line
FROM {reviews}
UNION ALL
SELECT interaction_id, CAST(NULL AS STRING), user_id, item_id, kind, CAST(NULL AS DOUBLE), weight,
       occurred_at, source_file, source_line
FROM (
    SELECT *, row_number() OVER (
        PARTITION BY user_id, item_id
        ORDER BY abs(weight) DESC, occurred_at DESC, source_file DESC, source_line DESC, interaction_id DESC
    ) AS strength
    FROM {interactions}
) AS events ANTI JOIN {reviews} USING (user_id, item_id)
WHERE strength = 1
"""

NEWEST_FIRST = "occurred_at DESC, source_file DESC, source_line DESC, interaction_id DESC"
"""Order of what one user met: ties in time by the order of the input, the later line being the later interaction."""


def met_sql(reviews: str = "reviews", interactions: str = "interactions") -> str:
    """Select one row per user and item from two tables of these names.

    Columns: interaction_id, review_id (null for an event), user_id, item_id, kind, rating (null for an event), weight (1
    for a review), occurred_at, source_file, source_line.
    """
    return _MET.format(reviews=reviews, interactions=interactions)


def liked_sql(least: str, of: str = "") -> str:
    """State as a condition that an interaction is liked: a review by its stars, at least `least`; an event by its weight.

    `of` is what stands before the columns rating and weight, a table's or struct's name with its dot.
    """
    return f"coalesce({of}rating >= {least}, {of}weight > 0)"
