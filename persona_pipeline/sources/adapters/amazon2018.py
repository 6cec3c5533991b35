"""Map the Amazon review data of 2018 (Ni, McAuley): JSON lines; titles of its metadata are scripts of the page at times."""

from persona_pipeline.sources.adapters._adapter import Adapter

AMAZON2018 = Adapter(
    name="amazon2018",
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
        "categories": ("category",),
        "description": ("description", "feature"),
    },
)
