from pathlib import Path

import pytest
from reading import rows

HERE = Path(__file__).parent
GIVEN = Path(__file__).parents[5] / "shared" / "inputs" / "01_amazon2014_pyliteral"


@pytest.mark.parametrize("file", ["reviews.json", "reviews_literals.json"])
def test_reviews_as_json_and_as_literals(file: str) -> None:
    first, starred, dated = rows(HERE / file, "amazon2014")
    assert (first["user_id"], first["item_id"], first["rating"]) == ("A2SUAM1J3GNN3B", "0000013714", 5)
    assert first["text"] == "It's bright & easy to tune, my daughter plays it every day."
    assert (first["title"], f"{first['reviewed_at']:%Y-%m-%d %H:%M}") == ("Sings", "2009-09-13 00:00")
    assert (starred["text"], starred["rating"]) == ("", 2)
    assert f"{dated['reviewed_at']:%Y-%m-%d}" == "2009-09-15"


def test_both_ways_of_writing_give_one_id() -> None:
    ids = [
        [row["review_id"] for row in rows(HERE / name, "amazon2014")]
        for name in ("reviews.json", "reviews_literals.json")
    ]
    assert ids[0] == ids[1]


def test_categories_are_lists_of_paths() -> None:
    first, bare = rows(HERE / "meta.json", "amazon2014", "items")
    assert first["categories"] == ["Musical Instruments", "Strings", "Violins"]
    assert (first["title"], first["creator"]) == ("Violin Strings, 4/4, 'Bright'", "Acme")
    assert first["description"] == "Bright, for beginners. Set of four."
    assert (bare["item_id"], bare["title"], bare["categories"]) == ("0000013715", None, ["Musical Instruments"])


@pytest.mark.skipif(not GIVEN.is_dir(), reason="not there")
def test_files_of_others() -> None:
    assert [row["reason"] for row in rows(GIVEN / "reviews_strict.json", "amazon2014")] == [None] * 20
    items = rows(GIVEN / "meta_pyliteral.json", "amazon2014", "items")
    assert len(items) == 9
    assert items[0]["categories"] == ["Home", "Kitchen", "Kettles"]
