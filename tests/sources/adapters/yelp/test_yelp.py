from pathlib import Path

import pytest
from reading import rows

HERE = Path(__file__).parent
GIVEN = Path(__file__).parents[5] / "shared" / "inputs" / "04_other_native" / "yelp_review.json"


def test_reviews() -> None:
    first, second = rows(HERE / "review.json", "yelp")
    assert (first["review_id"], first["item_id"], first["rating"]) == (
        "KU_O5udG6zpxOg-VcAEodg",
        "XQfwVwDr-v0ZS3_CbbE5Xw",
        3,
    )
    assert first["text"] == "If you decide to eat here, just be aware it takes two hours."
    assert f"{second['reviewed_at']:%Y-%m-%d %H:%M:%S}" == "2012-01-03 15:28:18"


def test_attributes_of_a_business_are_its_description() -> None:
    grill, spin = rows(HERE / "business.json", "yelp", "items")
    assert (grill["title"], grill["categories"]) == ("Acme Oyster & Grill", ["Restaurants", "Food", "Coffee & Tea"])
    assert grill["description"] == (
        "Restaurants Delivery: False, Outdoor Seating: True, Business Parking: street, Wi Fi: free, Ambience: casual, trendy"
    )
    assert (spin["title"], spin["categories"], spin["description"]) == ("Spin", [], None)


@pytest.mark.skipif(not GIVEN.is_file(), reason="not there")
def test_files_of_others() -> None:
    assert [row["reason"] for row in rows(GIVEN, "yelp")] == [None] * 20
