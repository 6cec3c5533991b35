from collections import Counter
from pathlib import Path

import pytest
from reading import rows

HERE = Path(__file__).parent
SHARED = Path(__file__).parents[5] / "shared"


def test_reviews() -> None:
    first, stars = rows(HERE / "reviews.json", "amazon2018")
    assert (first["user_id"], first["item_id"], first["rating"], first["title"]) == (
        "A1D4G1SNUZWQOT",
        "7106116521",
        5,
        "perfect",
    )
    assert f"{first['reviewed_at']:%Y-%m-%d}" == "2018-03-11"
    assert (stars["text"], stars["title"]) == ("", "One Star")


def test_titles_that_are_scripts_are_no_titles() -> None:
    ring, script = rows(HERE / "meta.json", "amazon2018", "items")
    assert (ring["title"], ring["creator"]) == ("Silver & Gold Ring, model 550-2", "Acme")
    assert ring["categories"] == ["Clothing, Shoes & Jewelry", "Women"]
    assert ring["description"] == "First part. Second été."
    assert (script["title"], script["creator"], script["categories"]) == (None, None, [])
    assert script["description"] == "Holds 2 litres"


@pytest.mark.skipif(not SHARED.is_dir(), reason="not there")
def test_files_of_others() -> None:
    assert Counter(row["reason"] for row in rows(SHARED / "inputs/02_amazon2018/reviews.json", "amazon2018")) == {
        None: 45
    }
    titles = [row["title"] for row in rows(SHARED / "inputs/02_amazon2018/meta.json", "amazon2018", "items")]
    assert titles[0] == "Good Kettle"
    assert not any("var " in title for title in titles if title)
    gift_cards = SHARED / "data/amazon_gift_cards"
    assert Counter(row["reason"] for row in rows(gift_cards / "Gift_Cards_5.json.gz", "amazon2018")) == {None: 2972}
    assert len(rows(gift_cards / "meta_Gift_Cards.json.gz", "amazon2018", "items")) == 1547
