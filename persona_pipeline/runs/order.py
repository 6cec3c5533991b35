"""The tasks of a run, and what their processes end with."""

ORDER = (
    "reviews",
    "item_reviews",
    "user_histories",
    "candidates",
    "review_aspects",
    "item_summaries",
    "item_personas",
    "text_embeddings",
    "persona_choices",
    "training_pairs",
    "encoders",
    "persona_vectors",
    "user_vectors",
    "user_item_topk",
    "default_topk",
    "releases",
    "report",
)
"""The jobs of a night, in an order the DAG allows."""

TRY_AGAIN = 75  # EX_TEMPFAIL: what failed may well work the next time
