import gzip
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pydantic import ValidationError

from persona_pipeline.config import ReviewsConfig

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Row = tuple[str, str, str, str]

SHARED = Path(__file__).parents[3] / "shared"
INSTRUMENTS = SHARED / "data" / "amazon_musical_instruments" / "Musical_Instruments_5.json.gz"
GIFT_CARDS = SHARED / "data" / "amazon_gift_cards" / "Gift_Cards_5.json.gz"
REPEATS = SHARED / "inputs" / "17_repeats" / "reviews.jsonl"
PRAISE = "This kettle changed how my whole family drinks tea, order it from this seller right now and thank me later"


def marked(spark: "SparkSession", rows: list[Row], config: ReviewsConfig | None = None) -> dict[str, str]:
    from pyspark.sql.pandas.types import from_arrow_schema

    from persona_pipeline.sources.near_duplicates import KEYS, with_text_keys
    from persona_pipeline.sources.spam import mark_spam

    names = ("review_id", "user_id", "item_id", "text")
    texts = pa.table(dict(zip(names, zip(*rows, strict=True), strict=True)))
    schema = pa.schema([*texts.schema, *KEYS])
    reviews = spark.createDataFrame(texts).mapInArrow(with_text_keys, from_arrow_schema(schema)).persist()
    found = mark_spam(reviews, config or ReviewsConfig())
    assert found.columns == [*reviews.columns, "spam"]
    lines = found.collect()
    assert sorted(line["review_id"] for line in lines) == sorted(row[0] for row in rows)
    return {line["review_id"]: line["spam"] for line in lines if line["spam"] is not None}


def honest(count: int, seed: int = 0) -> list[Row]:
    rng = random.Random(seed)
    words = [f"word{i}" for i in range(3_000)]
    return [
        (f"h{i:05}", f"u{i % 700}", f"i{i % 50}", " ".join(rng.choices(words, k=rng.randint(3, 60))))
        for i in range(count)
    ]


def test_the_patterns_of_copy_and_paste(spark: "SparkSession") -> None:
    near = (
        PRAISE,
        PRAISE.upper() + "!!!",
        PRAISE.replace("later", "tomorrow"),
        PRAISE + " 417",
        "So: " + PRAISE,
    )
    rows = [
        # One text by five users on five items, each a little changed.
        *((f"r{i}", f"a{i}", f"x{i}", text) for i, text in enumerate(near)),
        # Four users are too few, as are five who say less than eight words on different items.
        *((f"s{i}", f"b{i}", f"x{i}", "Four friends wrote this long text together one evening at home") for i in range(4)),
        *((f"g{i}", f"b{i}", f"y{i}", "great gift for my son!") for i in range(5)),
        # Four words by five users on one item; three words by more; five words by five of a hundred and one.
        *((f"t{i}", f"c{i}", "y1", "Best product ever, buy!") for i in range(5)),
        *((f"v{i}", f"d{i}", "y2", "great gift thanks") for i in range(8)),
        *((f"o{i:03}", f"k{i}", "y3", "easy to use and fast" if i < 5 else f"opinion {i}") for i in range(101)),
        # One user with one text on ten items, another on nine.
        *((f"w{i}", "e1", f"z{i}", "I always write the very same long sentence about everything") for i in range(10)),
        *((f"p{i}", "e2", f"z{i}", "My standard words fit whatever thing I happen to have bought") for i in range(9)),
        *((f"q{i}", f"f{i}", "x1", "" if i < 6 else "...") for i in range(12)),
    ]  # fmt: skip
    expected = dict.fromkeys((f"r{i}" for i in range(5)), "r0") | dict.fromkeys((f"t{i}" for i in range(5)), "t0")
    assert marked(spark, rows + honest(300)) == expected | dict.fromkeys((f"w{i}" for i in range(10)), "w0")
    stricter = marked(spark, rows, ReviewsConfig(spam_users=4, spam_items=9))
    assert stricter.keys() - expected.keys() == {f"w{i}" for i in range(10)} | {f"p{i}" for i in range(9)} | {
        f"s{i}" for i in range(4)
    }
    assert marked(spark, rows, ReviewsConfig(spam_users=0)) == {}


@pytest.mark.slow
def test_planted_copies_are_found_and_nothing_else(spark: "SparkSession") -> None:
    rng = random.Random(1)
    rows = honest(3_000)
    planted = []
    for cluster in range(60):
        base = rng.choices([f"term{i}" for i in range(500)], k=rng.randint(30, 60))
        for copy in range(rng.choice((5, 8, 20))):
            words = [rng.choice(("new", "other")) if rng.random() < 0.01 else word for word in base]
            planted.append((f"s{cluster}-{copy}", f"bot{cluster}-{copy}", f"i{rng.randrange(50)}", " ".join(words)))
    found = marked(spark, rows + planted)
    assert not {name for name in found if name.startswith("h")}
    assert len(found) >= 0.85 * len(planted)
    # Clusters are those that were planted.
    assert all(name.split("-")[0] == cluster.split("-")[0] for name, cluster in found.items())


@pytest.mark.slow
def test_a_text_pasted_by_very_many_is_one_comparison_each(spark: "SparkSession") -> None:
    rows = [(f"r{i:05}", f"u{i}", f"i{i % 7}", f"{PRAISE} {'again ' * (i % 40)}") for i in range(20_000)]
    found = marked(spark, rows)
    assert len(found) == len(rows)
    assert set(found.values()) == {"r00000"}


@pytest.mark.slow
@pytest.mark.skipif(not INSTRUMENTS.exists(), reason="the reviews of two shops are not here")
def test_real_reviews_are_honest(spark: "SparkSession") -> None:
    latest: dict[tuple[str, str], str] = {}
    for file in (INSTRUMENTS, GIFT_CARDS):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            reviews = map(json.loads, lines)
            latest |= {(review["reviewerID"], review["asin"]): review.get("reviewText") or "" for review in reviews}
    rows = [(f"r{i}", user, item, text) for i, ((user, item), text) in enumerate(latest.items())]
    assert len(rows) > 7_500
    assert marked(spark, rows) == {}


@pytest.mark.skipif(not REPEATS.exists(), reason="the file of repeats is not here")
def test_thirty_users_with_five_words_on_one_item(spark: "SparkSession") -> None:
    reviews = [json.loads(line) for line in REPEATS.read_text(encoding="utf-8").splitlines()]
    rows = [(f"r{i:03}", r["user_id"], r["item_id"], r["text"]) for i, r in enumerate(reviews)]
    found = marked(spark, rows)
    assert {rows[int(name[1:])][3] for name in found} == {"Best product ever buy now"}
    assert len(found) == sum(row[3] == "Best product ever buy now" for row in rows)


def test_one_user_is_no_crowd() -> None:
    with pytest.raises(ValidationError, match="0 to mark none"):
        ReviewsConfig(spam_users=1)
