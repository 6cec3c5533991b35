"""Aggregate `reviews` and `interactions` into bounded evidence per item and bounded histories per user (Spark)."""

from persona_pipeline.aggregate.item_reviews import item_reviews
from persona_pipeline.aggregate.user_histories import met, user_histories

__all__ = ["item_reviews", "met", "user_histories"]
