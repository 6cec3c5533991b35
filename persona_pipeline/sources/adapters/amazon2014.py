"""Map the Amazon review data of 2014 (McAuley): JSON or Python literals; categories are lists of paths."""

from persona_pipeline.sources.adapters._adapter import Adapter

AMAZON2014 = Adapter(
    name="amazon2014",
    reviews={
        "user_id": ("reviewerID",),
        "item_id": ("asin",),
        "rating": ("overall",),
        "title": ("summary",),
        "text": ("reviewText",),
        "timestamp": ("unixReviewTime", "reviewTime"),
    },
    items={
        "item_id": ("asin",),
        "title": ("title",),
        "creator": ("brand",),
        "categories": ("categories",),
        "description": ("description",),
    },
    formats=frozenset({"json", "literals"}),
)
