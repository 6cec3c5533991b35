"""Map the artefacts that the paper published: aspects of reviews, histories of users, summaries and personas of items."""

from persona_pipeline.sources.adapters._adapter import Adapter

PERSONA4REC = Adapter(
    name="persona4rec",
    reviews={
        "user_id": ("user_id",),
        "item_id": ("item_id",),
        "rating": ("rating",),
        "title": ("review_title",),
        "text": ("review_text",),
        "timestamp": ("timestamp",),
    },
    items={
        "item_id": ("item_id",),
        "title": ("item_title",),
        "description": ("item_description", "item_summary"),
    },
    formats=frozenset({"json"}),
    nested=("reviews", "aspects"),
    not_words=("summary", "item_title", "item_description", "item_summary"),
)
