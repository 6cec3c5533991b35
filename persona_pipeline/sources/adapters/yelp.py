"""Map the Yelp open dataset: reviews and businesses; a business's attributes, an object of objects, are its description."""

from persona_pipeline.sources.adapters._adapter import Adapter

YELP = Adapter(
    name="yelp",
    reviews={
        "review_id": ("review_id",),
        "user_id": ("user_id",),
        "item_id": ("business_id",),
        "rating": ("stars",),
        "text": ("text",),
        "timestamp": ("date",),
    },
    items={
        "item_id": ("business_id",),
        "title": ("name",),
        "categories": ("categories",),
        "description": ("attributes",),
    },
    listed_by_comma=True,
)
