from pathlib import Path

import pytest
from reading import rows

HERE = Path(__file__).parent
GIVEN = Path(__file__).parents[5] / "shared" / "inputs" / "03_amazon2023"


def test_an_item_is_a_parent() -> None:
    first, second = rows(HERE / "reviews.jsonl", "amazon2023")
    assert (first["item_id"], first["user_id"]) == ("B00YQ6X8E0", "AGKHLEW2SOWHNMFQIJGBECAF7INQ")
    assert first["text"] == "This spray is really nice. It smells really good."
    assert (f"{first['reviewed_at']:%Y-%m-%d}", first["reviewed_at"].microsecond) == ("2020-05-05", 923_000)
    assert (second["item_id"], f"{second['reviewed_at']:%Y}") == ("B07PNNCSP9", "2021")


def test_what_an_item_lacks_is_taken_from_where_it_stands_else() -> None:
    scent, novel = rows(HERE / "meta.jsonl", "amazon2023", "items")
    assert scent["item_id"] == "B00YQ6X8E0"
    assert (scent["title"], scent["creator"], scent["categories"]) == ("Scent, 6 Fl Oz", "Acme", ["All Beauty"])
    assert scent["description"] == "Fresh Light"
    assert (novel["creator"], novel["description"]) == ("Ana Writer", "One. Two.")
    assert novel["categories"] == ["Books", "Literature & Fiction"]


def test_ratings_alone_as_csv(tmp_path: Path) -> None:
    file = tmp_path / "All_Beauty.csv"
    file.write_text("user_id,parent_asin,rating,timestamp\nAGKH,B00Y,5.0,1588687728923\n")
    (row,) = rows(file, "amazon2023")
    assert (row["item_id"], row["rating"], row["text"]) == ("B00Y", 5, "")


@pytest.mark.skipif(not GIVEN.is_dir(), reason="not there")
def test_files_of_others() -> None:
    found = rows(GIVEN / "All_Beauty.jsonl", "amazon2023")
    assert [row["reason"] for row in found] == [None] * 30
    assert found[0]["item_id"] == "B0P0000000"
    items = rows(GIVEN / "meta_renamed.jsonl", "amazon2023", "items")
    assert {row["item_id"] for row in items} <= {row["item_id"] for row in found}
