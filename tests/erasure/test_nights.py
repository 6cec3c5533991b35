"""Ten people erased from three real nights: nothing of them is found, nobody else notices, and the next night never knew them."""

import gzip
import json
import math
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from decoded import found_in
from night_jobs import run_night

from persona_pipeline.contracts import load_contract, table_names
from persona_pipeline.erasure.erase import erase
from persona_pipeline.publish.releases import published, read_released, served
from persona_pipeline.publish.rollback import roll_back
from persona_pipeline.serving import Recommendations
from persona_pipeline.sources.synthetic import SyntheticConfig, generate, write
from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow

WORLD = SyntheticConfig(n_users=150, n_items=60, n_reviews=450, n_latent_personas=8)
END = datetime.fromtimestamp(WORLD.end_timestamp, UTC).date()
NIGHTS = [END - timedelta(days=days) for days in (14, 11, 9)]
NEXT = END - timedelta(days=2)
"""Late enough that the policy trains another encoder."""
CONFIG = """
encoders: {steps: 5, batch_size: 64, tuning_minutes: 0}
candidates: {file: lists.csv, max_unknown_share: 1}
user_item_topk: {k: 5, user_buckets: 2, max_changed_share: 1}
spark: {driver_memory: 2g, shuffle_partitions: 2}
"""
Row = dict[str, Any]


class Shop:
    """Three nights, and ten people to be erased: some alone behind a persona, some quoted to others."""

    def __init__(self, home: Path) -> None:
        self.home, self.warehouse = home, Warehouse(home / "warehouse")
        write(generate(WORLD), home / "world")
        (home / "small.yaml").write_text(CONFIG)
        self.lines = [json.loads(line) for line in gzip.decompress(self.input.read_bytes()).splitlines()]
        users, items = (sorted({line[key] for line in self.lines}) for key in ("user_id", "item_id"))
        lists = [
            f"{user},{items[(n + 7 * place) % len(items)]},{place}\n"
            for n, user in enumerate(users[::5])
            for place in range(1, 9)
        ]
        (home / "lists.csv").write_text("user_id,item_id,rank\n" + "".join(lists))
        for as_of in NIGHTS:
            self.night(as_of)
        self.ten = self._ten()
        texts = "\n".join(text for line in self.lines if line["user_id"] not in self.ten for text in _said(line))
        theirs = [line for line in self.lines if line["user_id"] in self.ten]
        quotes = self.warehouse.query(
            "SELECT DISTINCT e.quote AS quote FROM (SELECT unnest(evidence) AS e FROM item_personas) "
            "JOIN reviews ON e.ref = review_id WHERE user_id IN (SELECT unnest($ten))",
            ["item_personas", "reviews"],
            {"ten": self.ten},
        )["quote"].to_pylist()
        words = [text for line in theirs for text in _said(line)] + quotes
        self.needles = [*self.ten, *(line["review_id"] for line in theirs)]
        self.needles += sorted({text for text in words if len(text.split()) > 5 and text not in texts})
        self.quotes = quotes

    @property
    def input(self) -> Path:
        return self.home / "world" / "reviews.jsonl.gz"

    def night(self, as_of: date) -> dict[str, Row]:
        return run_night(
            self.warehouse.root, as_of, self.input, self.home / "world" / "items.jsonl.gz", self.home / "small.yaml"
        )

    def _ten(self) -> list[str]:
        support = self.warehouse.query(
            "SELECT user_id, min(support) AS least, max(support) AS most "
            "FROM (SELECT support, unnest(evidence).ref AS review_id FROM item_personas WHERE status = 'current') "
            "JOIN reviews USING (review_id) GROUP BY user_id ORDER BY user_id",
            ["item_personas", "reviews"],
        ).to_pylist()
        alone = [row["user_id"] for row in support if row["least"] == 1][:4]
        return sorted(
            [*alone, *[row["user_id"] for row in support if row["most"] > 1 and row["user_id"] not in alone][:6]]
        )

    def never_knew(self, home: Path) -> "Shop":
        """The same shop, to whose input the ten never belonged: its first night is to come."""
        other: Shop = object.__new__(Shop)
        other.home, other.warehouse = home, Warehouse(home / "warehouse")
        shutil.copytree(self.home / "world", home / "world")
        # Each line where it was: rows say which line they are from.
        lines = ["" if line["user_id"] in self.ten else json.dumps(line) for line in self.lines]
        other.input.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
        lists = (self.home / "lists.csv").read_text().splitlines(keepends=True)
        (home / "lists.csv").write_text("".join(line for line in lists if line.split(",")[0] not in self.ten))
        (home / "small.yaml").write_text(CONFIG)
        return other


def _said(line: Row) -> Iterator[str]:
    yield from (text for key in ("title", "text") if (text := line.get(key)))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, spark: "SparkSession") -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


def lists(warehouse: Warehouse, but: list[str]) -> dict[str, list[tuple[str, float]]]:
    found: dict[str, list[tuple[str, float]]] = {}
    for row in read_released(warehouse, "user_item_topk").to_pylist():
        if row["user_id"] not in but:
            found.setdefault(row["user_id"], []).append((row["item_id"], row["score"]))
    return found


def test_nothing_of_ten_people_is_left_and_the_next_night_never_knew_them(
    shop: Shop, tmp_path: Path, spark: "SparkSession"
) -> None:
    warehouse = shop.warehouse
    assert len(shop.needles) > 60
    assert len(shop.quotes) > 4
    before = found_in(warehouse.root, shop.needles)
    assert len(before) > 60  # reviews after the third night were never here
    assert set(shop.ten) < set(before)
    assert {Path(path).parts[0] for path in before.values()} >= {"_candidates", "_reports"}
    others, reader = lists(warehouse, shop.ten), Recommendations(warehouse)
    kept = {user: [(row.item_id, row.score) for row in reader.top(user, 5)] for user in others}
    quoting = [
        r for r in read_released(warehouse, "user_item_topk").to_pylist() if _quotes(r, shop) and r["user_id"] in others
    ]
    assert quoting

    done = erase(warehouse.root, shop.ten, "ana")

    assert found_in(warehouse.root, shop.needles) == {}
    assert (done.people, done.unknown, done.loose.left) == (10, [], [])
    assert done.personas > 0
    retired = warehouse.read("item_personas", where="status = 'retired' AND description = ''")
    assert retired.num_rows >= done.personas
    assert done.loose.done == {"rendered anew": 3}
    # Whoever had it open, whoever opens it now, and whoever goes back: all others have the lists they had.
    assert {user: [(row.item_id, row.score) for row in reader.top(user, 5)] for user in others} == kept
    assert lists(warehouse, []) == others
    assert all(
        row.explanation and row.evidence is not None for user in others for row in Recommendations(warehouse).top(user)
    )
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]
    last, earlier = served(warehouse), published(warehouse)[0]
    assert last is not None
    roll_back(warehouse, earlier.release_id, "ana", "a test")
    assert served(warehouse) == earlier
    assert read_released(warehouse, "user_item_topk").num_rows
    roll_back(warehouse, last.release_id, "ana", "a test")
    assert found_in(warehouse.root, shop.needles) == {}

    summaries = shop.night(NEXT)
    assert summaries["releases"]["verdict"] == "published"
    assert summaries["encoders"]["trained"]
    assert summaries["reviews"]["erased"] == sum(line["user_id"] in shop.ten for line in shop.lines)
    assert found_in(warehouse.root, shop.needles) == {}
    never = shop.never_knew(tmp_path)
    never.night(NEXT)
    # The files of the input are others; what training computes is another encoder's, which nothing here holds equal.
    apart = {"input_files", "encoders", "persona_vectors", "user_vectors", "user_item_topk"}
    for table in sorted({*table_names("state", "published")} - apart):
        found, wanted = (_rows(place, table) for place in (warehouse, never.warehouse))
        assert wanted or table in ("blocks", "interactions", "persona_choices")
        assert list(differences(found, wanted))[:5] == [], table


def _quotes(row: Row, shop: Shop) -> bool:
    return any(span["quote"] in shop.quotes for span in row["evidence"])


def _rows(warehouse: Warehouse, table: str) -> list[Row]:
    """Rows as the night made them: what depends on the nights before is left out, and a persona is told by item and place.

    That is the ids of personas and of encoders, when either first was, when a row last changed, and retired personas.
    """
    personas = warehouse.read("item_personas", where="status = 'current'").to_pylist()
    names = {row["persona_id"]: f"{row['item_id']} {row['position']}" for row in personas}
    newest = served(warehouse)
    assert newest is not None
    of_encoder = "encoder_id" in load_contract(table).names
    where = f"encoder_id = '{newest.encoder_id}'" if of_encoder else None
    where = "status = 'current'" if table == "item_personas" else where
    rows = [_told(row, names) for row in warehouse.read(table, where=where).to_pylist()]
    return sorted(rows, key=lambda row: str([value for value in row.values() if isinstance(value, str | int)]))


def _told(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        history = ("encoder_id", "first_as_of", "changed_as_of")
        return {key: _told(one, names) for key, one in value.items() if key not in history}
    if isinstance(value, list):
        return [_told(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value


def differences(one: Any, other: Any, place: str = "") -> Iterator[str]:
    """Where two tables differ; numbers that training computes may by a part in ten thousand, since sums go in another order."""
    if isinstance(one, float) and isinstance(other, float):
        if not math.isclose(one, other, abs_tol=1e-4):
            yield f"{place}: {one} {other}"
    elif isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from differences(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for n, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differences(left, right, f"{place}[{n}]")
    elif one != other:
        yield f"{place}: {one} {other}"


def test_differences_are_found() -> None:
    assert list(differences([{"a": 1.0, "b": ["x"]}], [{"a": 1.00001, "b": ["x"]}])) == []
    assert list(differences([{"a": 1.0, "b": ["x"]}], [{"a": 1.01, "b": ["y"]}])) == [
        "[0].a: 1.0 1.01",
        "[0].b[0]: x y",
    ]
    assert list(differences([{}], [])) == [": [{}] []"]
