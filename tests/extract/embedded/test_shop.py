"""What is a topic in a shop, from counts by hand, and from tables."""

from pathlib import Path

from helpers import AS_OF, put, shop

from persona_pipeline.extract.embedded.shop import Shop, read_shop, shop_of
from persona_pipeline.warehouse import Warehouse


def row(topic: str, items: int, opinions: int, statements: int) -> dict[str, int | str]:
    return {"topic": topic, "items": items, "opinions": opinions, "statements": statements}


PHRASES = [
    ("the sound", 50),
    ("this sound", 1),
    ("its characters", 8),
    ("the character", 3),
    ("this strap", 9),
    ("the strap", 9),
]


def test_a_topic_is_spread_stated_and_neither_the_goods_nor_a_general_word() -> None:
    opinions = [
        row("sound", 9, 30, 10),
        row("character", 3, 4, 2),
        row("deal", 9, 30, 0),  # "great deal", never "the deal is great"
        row("bridge", 9, 50, 5),  # hardly ever stated
        row("hinge", 2, 30, 10),  # of two items alone
        row("strap", 9, 30, 10),  # what is sold
        row("thing", 9, 30, 10),
        row("build quality", 5, 9, 4),
    ]
    found = shop_of(opinions, PHRASES)
    assert found.topics == {"sound": "sound", "character": "characters", "build quality": "build quality"}
    assert found.goods == {"strap"}


def test_it_is_read_off_the_tables(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    tables = shop()
    put(warehouse, "item_reviews", tables["item_reviews"])
    nothing = dict.fromkeys(("category_preference", "purchase_purpose", "quality_criteria", "usage_context"))
    span = {"aspect": "quality_criteria", "start": 0, "end": 1, "quote": "x", "stance": "likes", "word": "great"}
    rows = [
        {"review_id": f"r{n}", "item_id": f"i{n % 3}", "user_id": f"u{n}", **nothing, "aspect_source": "embedded",
         "evidence": [
            span | {"topic": "sound", "form": "statement" if n < 3 else "attribute"},
            span | {"topic": "gift", "form": "motive"},
         ],
         "extraction_key": "k", "extractor_version": "v"}
        for n in range(6)
    ]  # fmt: skip
    put(warehouse, "review_aspects", rows)
    assert read_shop(warehouse).topics == {"sound": "sound"}
    put(warehouse, "review_aspects", [])
    assert read_shop(warehouse).topics == {}
    assert Shop().topics == {}
    assert AS_OF
