"""A large world in small: its files are the same whatever made them, and an ingest finds what `truth.json` says."""

import json
import shutil
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from parsed_night import night

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.synthetic.large import LargeConfig

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CONFIG = LargeConfig(n_reviews=6_321, n_users=800, n_items=500)


@pytest.fixture(scope="module")
def world(spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> Path:
    from persona_pipeline.sources.synthetic.large.files import write

    folder = tmp_path_factory.mktemp("large") / "world"
    write(spark, CONFIG, folder)
    return folder


@pytest.fixture(scope="module")
def truth(world: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((world / "truth.json").read_text())
    return told


def lines(path: Path) -> list[str]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def rows(path: Path) -> list[dict[str, Any]]:
    """What is JSON in a file or a folder."""
    found = []
    for line in lines(path):
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def test_the_lines_depend_on_the_seed_alone(spark: "SparkSession", world: Path) -> None:
    from persona_pipeline.sources.synthetic.large.layout import Layout
    from persona_pipeline.sources.synthetic.large.lines import Lines

    in_parts = [row["value"] for row in Lines(spark, Layout(CONFIG)).reviews(7).collect()]
    assert in_parts == lines(world / "reviews")
    other = Lines(spark, Layout(CONFIG.model_copy(update={"seed": 1}))).reviews(1).collect()
    assert len(other) == len(in_parts)
    assert sum(row["value"] == line for row, line in zip(other, in_parts, strict=True)) < 10


def test_a_folder_that_is_in_use_is_left_alone(spark: "SparkSession", tmp_path: Path) -> None:
    from persona_pipeline.sources.synthetic.large.files import write

    (tmp_path / "mine").write_text("")
    with pytest.raises(SourceError, match="empty or not there"):
        write(spark, CONFIG, tmp_path)


def ingest(spark: "SparkSession", folder: Path, as_of: date) -> tuple[dict[str, Any], Any]:
    """Counts as in the truth, and the rows."""
    parsed = night(spark, [folder], as_of)
    refused = Counter({row["reason"]: row["count"] for row in parsed.rejected.groupBy("reason").count().collect()})
    found = parsed.rows.toPandas()
    return {"lines": parsed.lines, "not_yet": parsed.not_yet, "accepted": len(found), "refused": dict(refused)}, found


def test_an_ingest_finds_what_was_planted(spark: "SparkSession", world: Path, truth: dict[str, Any]) -> None:
    told, reviews = ingest(spark, world / "reviews", CONFIG.as_of)
    assert told == truth["reviews"]
    assert (reviews["item_id"] == truth["hot_item_id"]).sum() == truth["hot_item"]["accepted"]
    assert (reviews["user_id"] == truth["heavy_user_id"]).sum() == truth["heavy_user_reviews"]
    with_mark = {mark: int(reviews["text"].str.contains(f"[{mark}]", regex=False).sum()) for mark in ("email", "phone")}
    assert with_mark == {mark: truth["texts_with"][mark] for mark in with_mark}
    assert (reviews["text"].str.len() > 6_000).sum() == truth["texts_with"]["long"]
    assert reviews["text"].str.contains("Order no. ", regex=False).sum() == truth["spam"]["lines"]
    others = reviews[reviews["item_id"] != truth["hot_item_id"]]["item_id"].value_counts()
    assert others.iloc[0] > 20 * others.median()  # the rest is skewed too


def test_the_increment_is_a_second_night(
    spark: "SparkSession", world: Path, truth: dict[str, Any], tmp_path: Path
) -> None:
    both = shutil.copytree(world / "reviews", tmp_path / "both")
    (added,) = (world / "increment").iterdir()
    shutil.copy(added, both / "reviews-later.jsonl")
    told, _ = ingest(spark, both, CONFIG.as_of + timedelta(days=1))
    assert told == truth["with_increment"]


def test_items_events_and_users_to_erase(world: Path, truth: dict[str, Any]) -> None:
    reviews = rows(world / "reviews")
    reviewed = {row["item_id"] for row in reviews}
    catalogue = {row["item_id"] for row in rows(world / "items.jsonl")}
    assert len(catalogue) == truth["item_lines"]
    assert len(catalogue - reviewed) >= truth["items"]["never_reviewed"]
    dead = {f"I{n:08d}" for n in range(CONFIG.n_items - truth["items"]["never_reviewed"], CONFIG.n_items)}
    assert dead <= catalogue - reviewed
    assert 0 < len(reviewed - catalogue) <= truth["items"]["delisted"]

    events = rows(world / "events.jsonl")
    kinds = Counter(event["kind"] for event in events)
    writers = {row["user_id"] for row in reviews if "user_id" in row}
    silent = {event["user_id"] for event in events} - writers
    assert {"lines": len(events), **kinds, "users_without_reviews": len(silent)} == truth["events"]
    bought = {(e["user_id"], e["item_id"]) for e in events if e["kind"] == "purchase"}
    assert all((e["user_id"], e["item_id"]) in bought for e in events if e["kind"] == "return")

    erased = (world / "erase.txt").read_text().split()
    assert len(set(erased)) == 10
    assert set(erased) <= writers
