"""List the tasks of a run in execution order (`ORDER`), and the exit code that asks for a retry."""

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
