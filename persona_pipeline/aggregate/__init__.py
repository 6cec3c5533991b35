"""Aggregate `reviews` into bounded evidence per item and bounded histories per user (Spark)."""

from persona_pipeline.aggregate.item_reviews import item_reviews
from persona_pipeline.aggregate.user_histories import user_histories

__all__ = ["item_reviews", "user_histories"]
