import gzip
import json
from pathlib import Path

import pytest

from persona_pipeline.core.errors import SourceError
from persona_pipeline.sources.synthetic import SyntheticConfig, SyntheticWorld, generate, write
from persona_pipeline.sources.synthetic.files import read_rows

FILES = ["items.jsonl.gz", "reviews.jsonl.gz"] + [
    f"truth/{name}.jsonl" for name in ("items", "personas", "reviews", "users")
]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_equal_configurations_give_equal_bytes(folder: Path, config: SyntheticConfig, tmp_path: Path) -> None:
    write(generate(SyntheticConfig(**config.model_dump())), tmp_path / "again")
    assert sorted(contents(folder)) == sorted([*FILES, "truth/config.json"])
    assert contents(tmp_path / "again") == contents(folder)


def test_another_seed_changes_every_table_but_the_cast(folder: Path, config: SyntheticConfig, tmp_path: Path) -> None:
    write(generate(config.model_copy(update={"seed": 8})), tmp_path / "other")
    ours, theirs = contents(folder), contents(tmp_path / "other")
    assert [name for name in ours if ours[name] == theirs[name]] == ["truth/personas.jsonl"]


def test_rows_are_canonical(folder: Path) -> None:
    reviews, items = read_rows(folder / "reviews.jsonl.gz"), read_rows(folder / "items.jsonl.gz")
    assert list(reviews[0]) == ["review_id", "user_id", "item_id", "rating", "title", "text", "timestamp"]
    assert list(items[0]) == ["item_id", "title", "description", "categories"]
    assert isinstance(items[0]["categories"], list)
    assert {row["item_id"] for row in reviews} <= {row["item_id"] for row in items}


def test_truth_agrees_with_the_reviews(folder: Path) -> None:
    reviews = read_rows(folder / "reviews.jsonl.gz")
    truth = {name: read_rows(folder / "truth" / f"{name}.jsonl") for name in ("reviews", "items", "users", "personas")}
    assert [row["review_id"] for row in reviews] == [row["review_id"] for row in truth["reviews"]]
    assert {row["user_id"] for row in reviews} == {row["user_id"] for row in truth["users"]}
    assert [row["item_id"] for row in read_rows(folder / "items.jsonl.gz")] == [
        row["item_id"] for row in truth["items"]
    ]
    cast = {row["persona_id"] for row in truth["personas"]}
    assert {row["persona_id"] for row in truth["reviews"]} <= cast
    assert {entry["persona_id"] for row in truth["items"] for entry in row["personas"]} == cast


def test_gzip_headers_carry_no_time_and_no_name(folder: Path) -> None:
    header = (folder / "reviews.jsonl.gz").read_bytes()[:10]
    assert header[3] == 0  # flags: no name
    assert header[4:8] == bytes(4)  # modification time


def test_a_world_replaces_an_earlier_one(world: SyntheticWorld, tmp_path: Path) -> None:
    target = tmp_path / "world"
    write(generate(SyntheticConfig(n_users=50, n_items=60, n_reviews=200)), target)
    assert len(read_rows(target / "reviews.jsonl.gz")) == 200
    write(world, target)
    assert len(read_rows(target / "reviews.jsonl.gz")) == world.config.n_reviews
    assert [path.name for path in tmp_path.iterdir()] == ["world"]


def test_a_foreign_folder_is_left_alone(world: SyntheticWorld, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SourceError, match="not a synthetic world"):
        write(world, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_failure_leaves_the_earlier_world(
    world: SyntheticWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "world"
    write(world, target)
    before = contents(target)

    def broken(self: SyntheticWorld) -> object:
        raise OSError("disk full")

    monkeypatch.setattr(SyntheticWorld, "true_review_rows", broken)
    with pytest.raises(OSError, match="disk full"):
        write(world, target)
    assert contents(target) == before
    assert [path.name for path in tmp_path.iterdir()] == ["world"]


def test_lines_are_plain_utf8_json(folder: Path) -> None:
    with gzip.open(folder / "reviews.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    assert any(not text.isascii() for text in texts)  # emoji and accents survive
