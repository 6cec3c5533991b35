"""Map the artefacts that the paper published: aspects of reviews, histories of users, summaries and personas of items.

Histories have no texts of reviews; their headlines, which are the reviewers' own words too, stand for them.
"""

from persona_pipeline.sources.adapters._adapter import Adapter

PERSONA4REC = Adapter(
    name="persona4rec",
    reviews={
        "user_id": ("user_id",),
        "item_id": ("item_id",),
        "rating": ("rating",),
        "title": ("review_title",),
        "text": ("review_text", "review_title"),
        "timestamp": ("timestamp",),
    },
    items={
        "item_id": ("item_id",),
        "title": ("item_title",),
        "description": ("item_description", "item_summary", "summary"),
    },
    formats=frozenset({"json"}),
    nested=("reviews", "aspects"),
)
