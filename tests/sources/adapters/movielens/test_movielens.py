from collections import Counter
from pathlib import Path

import pytest
from reading import rows

HERE = Path(__file__).parent
GIVEN = Path(__file__).parents[5] / "shared" / "data" / "movielens_small"


def test_ratings_have_no_words_and_half_a_star_is_one() -> None:
    found = rows(HERE / "ratings.csv", "movielens")
    assert [(row["user_id"], row["item_id"], row["rating"], row["text"]) for row in found] == [
        ("1", "1", 4, ""), ("1", "3", 1, ""), ("007", "3", 5, "")
    ]  # fmt: skip
    assert f"{found[0]['reviewed_at']:%Y-%m-%d %H:%M:%S}" == "2000-07-30 18:45:03"
    assert [row["source_line"] for row in found] == [2, 3, 4]


def test_films() -> None:
    films = rows(HERE / "movies.csv", "movielens", "items")
    assert films[0]["categories"] == ["Adventure", "Animation", "Children", "Comedy", "Fantasy"]
    assert films[1]["title"] == "American President, The (1995)"
    assert films[2]["categories"] == []


@pytest.mark.skipif(not GIVEN.is_dir(), reason="not there")
def test_the_small_data_set() -> None:
    found = rows(GIVEN / "ratings.csv.gz", "movielens")
    assert Counter(row["reason"] for row in found) == {None: 100_836}
    assert len({row["review_id"] for row in found}) == 100_836
    assert len(rows(GIVEN / "movies.csv.gz", "movielens", "items")) == 9_742
