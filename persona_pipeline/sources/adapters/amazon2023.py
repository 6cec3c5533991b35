"""Map the Amazon review data of 2023 (Hou, McAuley): an item is a `parent_asin`, under which its metadata stands."""

from persona_pipeline.sources.adapters._adapter import Adapter

AMAZON2023 = Adapter(
    name="amazon2023",
    reviews={
        "user_id": ("user_id",),
        "item_id": ("parent_asin", "asin"),
        "rating": ("rating",),
        "title": ("title",),
        "text": ("text",),
        "timestamp": ("timestamp", "sort_timestamp"),
    },
    items={
        "item_id": ("parent_asin", "item_id", "asin"),
        "title": ("title",),
        "creator": ("store", "author.name", "details.Brand", "details.Manufacturer"),
        "categories": ("categories", "main_category"),
        "description": ("description", "features"),
    },
)
