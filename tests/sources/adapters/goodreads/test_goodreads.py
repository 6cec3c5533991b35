from pathlib import Path

import pytest
from reading import rows

HERE = Path(__file__).parent
GIVEN = Path(__file__).parents[5] / "shared" / "inputs" / "04_other_native" / "goodreads.json"


def test_a_rating_of_zero_is_none() -> None:
    first, unrated, stars = rows(HERE / "reviews.json", "goodreads")
    assert (first["review_id"], first["item_id"], first["rating"]) == (
        "5cd416f3efc3f944fce4ce2db2290d5e",
        "24375664",
        5,
    )
    assert f"{first['reviewed_at']:%Y-%m-%d %H:%M:%S}" == "2017-10-09 15:55:59"
    assert (unrated["reason"], unrated["field"], unrated["detail"]) == ("unrated", "rating", "0")
    assert (stars["text"], f"{stars['reviewed_at']:%Y-%m-%d %H:%M:%S}") == ("", "2017-07-30 14:28:03")


def test_shelves_are_categories_but_for_those_that_say_what_a_reader_did() -> None:
    moon, bodies = rows(HERE / "books.json", "goodreads", "items")
    assert (moon["item_id"], moon["title"], moon["creator"]) == ("24375664", "The Moon, in Revolt", "Acme Press")
    assert moon["categories"] == ["science-fiction", "classics"]
    assert moon["description"] == "A moon in revolt."
    assert (bodies["title"], bodies["categories"], bodies["description"]) == ("Three Bodies", [], None)


@pytest.mark.skipif(not GIVEN.is_file(), reason="not there")
def test_files_of_others() -> None:
    reasons = [row["reason"] for row in rows(GIVEN, "goodreads")]
    assert (reasons.count(None), reasons.count("unrated")) == (16, 4)
