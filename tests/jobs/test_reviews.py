"""The job `reviews` on a small input: every line is a row, set aside with a reason, or not yet due."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import Row
from one_run import kept, opened, written

from persona_pipeline.core.errors import ConfigError, PipelineError, SourceError
from persona_pipeline.runs.opening import Input
from persona_pipeline.sources.adapters import ADAPTERS
from persona_pipeline.warehouse import Warehouse
from persona_pipeline.warehouse.erasures import record

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REVIEWS: list[Row] = [
    {"review_id": "r1", "user_id": "ana", "item_id": "capo", "rating": 5, "title": "Fast", "timestamp": "2024-06-10T06:13:20",
     "text": "One hand is <b>enough</b> &amp; fast. Ask me: ana@example.org"},
    {"review_id": "r2", "user_id": "ana", "item_id": "capo", "rating": 1, "text": "Old", "timestamp": "2024-06-01"},
    {"review_id": "r3", "user_id": "ben", "item_id": "picks", "rating": 2, "timestamp": 1_718_000_000},
    {"review_id": "r4", "user_id": "ben", "item_id": "tuner", "rating": 9, "timestamp": "2024-06-11"},
    {"review_id": "r5", "user_id": "dan", "item_id": "picks", "rating": 4, "timestamp": "2024-06-30"},
    {"review_id": "r6", "user_id": "ben", "item_id": "strap", "rating": 4, "timestamp": "2024-06-09"},
    {"review_id": "r7", "user_id": "ben", "item_id": "strap", "rating": 5, "timestamp": "2024-06-02"},
]  # fmt: skip
ITEMS: list[Row] = [
    {"item_id": "capo", "title": "Spring capo", "categories": ["Music", "Capos"]},
    {"item_id": "tuner", "title": "Clip-on tuner"},
]


@pytest.fixture
def given(tmp_path: Path) -> Input:
    for name, rows in (("reviews", REVIEWS), ("items", ITEMS)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Input("jsonl", tmp_path / "reviews.jsonl", tmp_path / "items.jsonl")


@pytest.fixture
def empty(tmp_path: Path) -> Warehouse:
    """Before the first night."""
    return Warehouse(tmp_path / "new")


def test_every_line_ends_in_one_place(empty: Warehouse, given: Input, tmp_path: Path, spark: "SparkSession") -> None:
    pq.write_table(pa.table({"review_id": ["r6"]}), tmp_path / "withheld.parquet")
    run = opened(empty, given, reviews={"max_rejected_share": 0.3, "withheld": str(tmp_path / "withheld.parquet")})
    summary = run.do("reviews")
    assert [summary[n] for n in ("lines", "item_lines", "not_yet", "withheld")] == [7, 2, 1, 1]
    assert summary["rejected"] == {"reviews.bad_rating": 1, "reviews.edited": 2}
    assert written(summary) == {
        "rejected_reviews": (3, 0, 0),
        "reviews": (2, 0, 0),
        "items": (3, 0, 0),
        "input_files": (1, 0, 0),
    }
    ana, ben = kept(empty, "reviews")
    assert ana == {
        "review_id": "r1", "user_id": "ana", "item_id": "capo", "rating": 5.0, "title": "Fast",
        "text": "One hand is enough & fast. Ask me: [email]", "language": "en", "spam": None,
            "reviewed_at": datetime(2024, 6, 10, 6, 13, 20, tzinfo=UTC),
        "source_file": "reviews.jsonl", "source_line": 1,
    }  # fmt: skip
    # Of ben's strap nothing is left: what is withheld does not give its place to the older review.
    assert (ben["review_id"], ben["text"], ben["reviewed_at"]) == ("r3", "", ana["reviewed_at"])
    old, bad, _ = kept(empty, "rejected_reviews")
    assert (old["source_line"], old["reason"]) == (2, "edited")
    assert (bad["source_line"], bad["input"], bad["reason"], bad["detail"]) == (4, "reviews", "bad_rating", "9")
    told = {row["item_id"]: (row["title"], row["categories"], row["has_metadata"]) for row in kept(empty, "items")}
    assert told == {
        "capo": ("Spring capo", ["Music", "Capos"], True),
        "picks": (None, [], False),
        "tuner": ("Clip-on tuner", [], True),
    }
    run.again("reviews")


def test_too_much_set_aside_leaves_the_tables_and_says_what_it_was(
    empty: Warehouse, given: Input, spark: "SparkSession"
) -> None:
    with pytest.raises(SourceError, match=r"bad_rating 1.*rejected_reviews"):
        opened(empty, given).do("reviews")
    assert not empty.exists("reviews")
    assert len(kept(empty, "rejected_reviews")) == 3


def test_dates_of_a_form_that_has_to_be_told_are_shown(empty: Warehouse, tmp_path: Path, spark: "SparkSession") -> None:
    rows = [{**REVIEWS[0], "timestamp": stamp} for stamp in ("13.06.2024", "14.06.2024", "soon")]
    (tmp_path / "r.jsonl").write_text(lines(*rows))
    with pytest.raises(SourceError, match=r"If '13\.06\.2024' is a date, say its form in reviews\.time_format"):
        opened(empty, Input("jsonl", tmp_path / "r.jsonl")).do("reviews")


def test_a_run_without_input_has_nothing_to_read(empty: Warehouse) -> None:
    with pytest.raises(PipelineError, match=r"opened without any input; open one with --source and --reviews"):
        opened(empty).do("reviews")


def lines(*rows: Row) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_a_night_parses_what_no_night_has_parsed(tmp_path: Path, empty: Warehouse, spark: "SparkSession") -> None:
    """Increments, one of which corrects what another says; then one is taken back."""
    folder, quiet = tmp_path / "in", {"quiet_seconds": 0.0}
    folder.mkdir()
    good = [{**REVIEWS[0], "review_id": f"g{n}", "user_id": f"u{n}"} for n in range(4)]
    (folder / "1.jsonl").write_text(lines(*good[:3]))
    given = Input("jsonl", folder)
    first = opened(empty, given, reviews=quiet).do("reviews")
    assert (first["files"], first["files_parsed"]) == (1, 1)

    corrected = {**good[1], "text": "On second thoughts, slow.", "timestamp": "2024-06-12"}
    (folder / "2.jsonl").write_text(lines(corrected, good[3]))
    second = opened(empty, given, reviews=quiet).do("reviews")
    assert (second["files"], second["files_parsed"], second["lines"]) == (2, 1, 5)
    assert written(second)["reviews"] == (1, 1, 0)
    texts = {row["review_id"]: row["text"] for row in kept(empty, "reviews")}
    assert texts["g1"] == "On second thoughts, slow."
    assert {row["name"]: row["records"] for row in kept(empty, "input_files")} == {"1.jsonl": 3, "2.jsonl": 2}

    (folder / "2.jsonl").unlink()
    goes_on = opened(empty, given, reviews={**quiet, "complete": False})
    third = goes_on.do("reviews")
    assert (third["files"], third["files_parsed"], written(third)["reviews"]) == (2, 0, (0, 0, 0))
    withdrawn = opened(empty, given, reviews=quiet).do("reviews")
    assert (withdrawn["files"], written(withdrawn)["reviews"]) == (1, (0, 1, 1))
    assert {row["review_id"]: row["text"] for row in kept(empty, "reviews")}["g1"] == texts["g0"]
    (folder / "1.jsonl").unlink()
    with pytest.raises(SourceError, match="nothing to read"):
        opened(empty, given, reviews=quiet)


def test_a_night_that_died_leaves_what_the_next_takes_as_it_is(
    empty: Warehouse, given: Input, tmp_path: Path, spark: "SparkSession"
) -> None:
    """It parsed and committed, and ended before its state did."""
    with pytest.raises(SourceError, match="bad_rating"):
        opened(empty, given).do("reviews")
    again = opened(empty, given, reviews={"max_rejected_share": 0.3}).do("reviews")
    fresh = opened(Warehouse(tmp_path / "fresh"), given, reviews={"max_rejected_share": 0.3}).do("reviews")
    assert (again["files_parsed"], fresh["files_parsed"]) == (0, 1)
    names = ("lines", "not_yet", "rejected", "unavailable")
    assert [again[name] for name in names] == [fresh[name] for name in names]
    for table in ("reviews", "rejected_reviews", "items"):
        assert kept(empty, table) == kept(Warehouse(tmp_path / "fresh"), table)


def test_what_was_parsed_of_files_that_never_counted_is_deleted(
    empty: Warehouse, given: Input, spark: "SparkSession"
) -> None:
    assert given.reviews is not None
    with pytest.raises(SourceError, match="bad_rating"):
        opened(empty, given).do("reviews")
    given.reviews.write_text(lines(*REVIEWS[:3]))
    opened(empty, given).do("reviews")
    assert len(kept(empty, "parsed_reviews")) == 3


def test_increments_have_names_of_their_own(
    empty: Warehouse, given: Input, tmp_path: Path, spark: "SparkSession"
) -> None:
    settings = {"complete": False, "max_rejected_share": 0.3}
    opened(empty, given, reviews=settings).do("reviews")
    (tmp_path / "later").mkdir()
    later = Input("jsonl", tmp_path / "later/reviews.jsonl")
    assert later.reviews is not None
    later.reviews.write_text(lines({**REVIEWS[0], "review_id": "r8", "user_id": "eve"}))
    with pytest.raises(
        SourceError, match=r"\(reviews\.jsonl\) hold something else .* give every increment a name of its own"
    ):
        opened(empty, later, reviews=settings).do("reviews")
    later.reviews.rename(tmp_path / "later/reviews-2.jsonl")
    opened(empty, Input("jsonl", tmp_path / "later"), reviews={**settings, "quiet_seconds": 0.0}).do("reviews")
    assert [row["review_id"] for row in kept(empty, "reviews")] == ["r1", "r3", "r6", "r8"]


def test_a_withdrawn_review_does_not_give_its_place_to_an_older_one(
    empty: Warehouse, given: Input, tmp_path: Path, spark: "SparkSession"
) -> None:
    (tmp_path / "ids.txt").write_text("r1\n")
    settings = {"max_rejected_share": 0.3, "withdrawn": str(tmp_path / "ids.txt")}
    summary = opened(empty, given, reviews=settings).do("reviews")
    assert (summary["withdrawn"], summary["rejected"]["reviews.edited"]) == (1, 2)
    assert [row["review_id"] for row in kept(empty, "reviews")] == ["r3", "r6"]


@pytest.mark.parametrize("source", sorted(ADAPTERS))
def test_a_parser_is_known_again_in_another_process(source: str) -> None:
    """Sets are in another order there."""
    code = (
        "from persona_pipeline.config import ReviewsConfig; from persona_pipeline.sources.adapters import ADAPTERS;"
        "from persona_pipeline.sources.input_state import parser_key;"
        f"print(parser_key(ADAPTERS[{source!r}], ReviewsConfig(), None, ''))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


def test_reviews_are_withdrawn_by_a_list_and_users_go_by_pseudonyms(
    tmp_path: Path, empty: Warehouse, given: Input, spark: "SparkSession", monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ids.txt").write_text("review_id\nr3\n\nunheard-of\n")
    settings = {"max_rejected_share": 0.3, "withdrawn": str(tmp_path / "ids.txt"), "pseudonymous_users": True}
    with pytest.raises(ConfigError, match=r"PERSONA_USER_KEY, of at least 16 characters; it is not set"):
        opened(empty, given, reviews=settings).do("reviews")
    monkeypatch.setenv("PERSONA_USER_KEY", "correct horse battery staple")
    summary = opened(empty, given, reviews=settings).do("reviews")
    assert (summary["withdrawn"], summary["withdrawn_unknown"], summary["not_yet"]) == (1, 1, 1)
    rows = kept(empty, "reviews")
    assert [row["review_id"] for row in rows] == ["r1", "r6"]
    names = {row["user_id"] for row in rows}
    assert len(names) == 2
    assert all(re.fullmatch("[0-9a-f]{20}", name) for name in names)
    everything = b"".join(path.read_bytes() for path in empty.root.rglob("*") if path.is_file())
    assert b"horse battery" not in everything


def test_what_may_be_recommended_tonight(empty: Warehouse, given: Input, tmp_path: Path, spark: "SparkSession") -> None:
    (tmp_path / "windows.csv").write_text("item_id,until,reason\ntuner,2024-06-30,sold out\nharp,2030-01-01,\n")
    rules = {"file": str(tmp_path / "windows.csv"), "full_catalogue": True}
    run = opened(empty, given, reviews={"max_rejected_share": 0.3}, eligibility=rules)
    summary = run.do("reviews")
    assert summary["eligibility"] == {"windows": 2, "unknown_items": 1}
    assert summary["unavailable"] == {"delisted": 2, "sold out": 1}
    told = {row["item_id"]: (row["available"], row["unavailable_reason"]) for row in kept(empty, "items")}
    assert told == {
        "capo": (True, None), "tuner": (False, "sold out"), "picks": (False, "delisted"), "strap": (False, "delisted"),
    }  # fmt: skip
    run.again("reviews")
    opened(empty, given, reviews={"max_rejected_share": 0.3}).do("reviews")
    assert {(row["available"], row["unavailable_reason"]) for row in kept(empty, "items")} == {(True, None)}


def test_a_full_catalogue_must_be_given(empty: Warehouse, given: Input) -> None:
    with pytest.raises(ConfigError, match=r"eligibility\.full_catalogue needs a file of items"):
        opened(empty, Input("jsonl", given.reviews), eligibility={"full_catalogue": True})


def test_lines_of_somebody_erased_go_nowhere(
    empty: Warehouse, given: Input, tmp_path: Path, spark: "SparkSession"
) -> None:
    assert given.reviews is not None
    given.reviews.write_text(given.reviews.read_text() + '{"user_id": "ben", "item\n')
    record(empty, ["ben"], "ana", datetime(2024, 6, 12, tzinfo=UTC))
    summary = opened(empty, given, reviews={"max_rejected_share": 0.3}).do("reviews")
    assert [summary[n] for n in ("lines", "not_yet", "erased")] == [8, 1, 5]
    assert [row["review_id"] for row in kept(empty, "reviews")] == ["r1"]
    assert summary["rejected"] == {"reviews.edited": 1}
    assert "ben" not in str(kept(empty, "rejected_reviews"))
