"""One entry point per stage: `python -m jobs.<table>`."""

ORDER = (
    "reviews",
    "item_reviews",
    "user_histories",
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
"""The jobs of a night, in an order the DAG allows, for whoever runs them without Airflow."""
