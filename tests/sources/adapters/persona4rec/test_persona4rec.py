from datetime import date
from pathlib import Path

import pytest
from reading import newest, rows

HERE = Path(__file__).parent
GIVEN = Path(__file__).parents[5] / "shared" / "data" / "persona4rec_amazon"


def test_a_history_is_as_many_reviews_as_it_holds() -> None:
    found = rows(HERE / "history.jsonl", "persona4rec")
    assert [(row["source_line"], row["part"], row["user_id"], row["item_id"], row["rating"]) for row in found] == [
        (1, 0, "AEPT", "B0756", 4), (1, 1, "AEPT", "B08SQ", 5), (2, 0, None, None, None), (3, 0, "AHYA", "B08SQ", 2)
    ]  # fmt: skip
    assert [row["reason"] for row in found] == [None, None, "empty", None]
    assert (found[0]["title"], found[0]["text"]) == ("Thought provoking", "Thought provoking")
    assert newest(HERE / "history.jsonl", "persona4rec") == date(2020, 12, 4)


def test_histories_on_one_line_have_places_of_their_own(tmp_path: Path) -> None:
    joined = (HERE / "history.jsonl").read_text().replace("\n", " ")
    (tmp_path / "h.jsonl").write_text(joined)
    assert [(row["source_line"], row["part"]) for row in rows(tmp_path / "h.jsonl", "persona4rec")] == [
        (1, 0),
        (1, 1),
        (1, 2),
        (1, 3),
    ]


def test_reviews_alone_and_under_their_item() -> None:
    (alone,) = rows(HERE / "aspects.jsonl", "persona4rec")
    first, second = rows(HERE / "grouped.jsonl", "persona4rec")
    assert alone["text"] == "This was a quick read for me, I had to keep reading."
    assert first == alone
    assert (second["user_id"], second["item_id"], second["part"]) == ("AHYA", "B0756", 1)


@pytest.mark.parametrize(
    ("file", "description"),
    [("grouped.jsonl", "Two women in New York."), ("personas.jsonl", "A novel about two women.")],
)
def test_items(file: str, description: str) -> None:
    (item,) = rows(HERE / file, "persona4rec", "items")
    assert (item["item_id"], item["title"], item["description"]) == ("B0756", "Not Our Kind: A Novel", description)


def test_histories_tell_of_their_items_too() -> None:
    found = rows(HERE / "history.jsonl", "persona4rec", "items")
    places = [(row["source_line"], row["part"], row["item_id"]) for row in found]
    assert places == [(1, 0, "B0756"), (1, 1, "B08SQ"), (2, 0, None), (3, 0, "B08SQ")]
    assert found[0]["description"] == "A novel set in New York about two women whose lives cross."


@pytest.mark.skipif(not GIVEN.is_dir(), reason="not there")
def test_the_published_sample() -> None:
    sizes = {"3.5_history": 632, "3.5_history_loo": 573, "1_aspects": 50, "2.5_grouped": 573}
    for name, size in sizes.items():
        assert [row["reason"] for row in rows(GIVEN / f"{name}.jsonl", "persona4rec")] == [None] * size
    for name in ("2_summary", "2.5_grouped", "3_personas"):
        assert len(rows(GIVEN / f"{name}.jsonl", "persona4rec", "items")) == 50
    told = {row["item_id"] for row in rows(GIVEN / "3.5_history.jsonl", "persona4rec", "items") if row["description"]}
    assert len(told) == 606
