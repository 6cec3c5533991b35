"""Map MovieLens: ratings and films as CSV, half stars from 0.5 to 5, genres with bars between them.

Ratings are reviews without words, or events whose weight follows from the stars.
"""

from persona_pipeline.sources.adapters._adapter import Adapter

MOVIELENS = Adapter(
    name="movielens",
    reviews={
        "user_id": ("userId",),
        "item_id": ("movieId",),
        "rating": ("rating",),
        "timestamp": ("timestamp",),
    },
    items={
        "item_id": ("movieId",),
        "title": ("title",),
        "categories": ("genres",),
    },
    formats=frozenset({"csv", "parquet"}),
    rating_scale=(0.5, 5),
    interactions={
        "user_id": ("userId",),
        "item_id": ("movieId",),
        "rating": ("rating",),
        "timestamp": ("timestamp",),
    },
    event_kind="rating",
)
