"""Whole nights on a small synthetic world: by Airflow, again, the next one, refused, and killed in the middle."""

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from deltalake import DeltaTable
from helpers import state
from killed_publication import kill_when
from night_jobs import run_night

from jobs import ORDER
from persona_pipeline.contracts import table_names
from persona_pipeline.core.errors import ReleaseError
from persona_pipeline.publish.releases import published, read_released, served
from persona_pipeline.runs.log import attempts, run_rows
from persona_pipeline.sources.synthetic import SyntheticConfig, generate, write
from persona_pipeline.warehouse import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
WORLD = SyntheticConfig(n_users=150, n_items=60, n_reviews=450, n_latent_personas=8)
END = datetime.fromtimestamp(WORLD.end_timestamp, UTC).date()
FIRST, SECOND = END - timedelta(days=14), END - timedelta(days=11)
CONFIG = """
encoders: {steps: 5, batch_size: 64}
candidates: {file: lists.csv, max_unknown_share: 1}
user_item_topk: {k: 5, user_buckets: 2, max_changed_share: 1, candidates: only}
spark: {driver_memory: 2g, shuffle_partitions: 2}
"""

NOT_MADE = {
    "blocks",
    "encoder_overrides",
    "erasures",
    "evaluation_metrics",
    "interactions",
    "llm_calls",
    "rejected_interactions",
}
"""Tables that people write, or backtests, or a night that has events, rules or an LLM."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with input, configuration and the first night, run by Airflow as `make nightly` does."""
    home = tmp_path_factory.mktemp("night")
    write(generate(WORLD), home / "world")
    (home / "lists.csv").write_text("user_id,item_id,rank\n" + "".join(lists(home / "world")))
    (home / "small.yaml").write_text(CONFIG)
    (home / "everybody.yaml").write_text(CONFIG.replace("max_changed_share: 1", "max_changed_share: 0"))
    command = [
        *(str(Path(sys.executable).parent / "persona-pipeline"), "nightly", "--warehouse", str(home / "warehouse")),
        *("--source", "jsonl", "--reviews", str(home / "world" / "reviews.jsonl.gz")),
        *("--items", str(home / "world" / "items.jsonl.gz")),
        *("--as-of", FIRST.isoformat(), "--config", str(home / "small.yaml")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=home)
    (home / "output.txt").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    return home


def lists(world: Path) -> list[str]:
    """Eight items of another recommender for every fifth user, as lines of CSV."""
    names = [
        sorted({json.loads(line)[key] for line in gzip.decompress((world / file).read_bytes()).splitlines()})
        for file, key in (("reviews.jsonl.gz", "user_id"), ("items.jsonl.gz", "item_id"))
    ]
    users, items = names
    return [
        f"{user},{items[(n + 7 * place) % len(items)]},{place}\n"
        for n, user in enumerate(users[::5])
        for place in range(1, 9)
    ]


def again(
    home: Path, as_of: date, jobs: tuple[str, ...] = ORDER, config: str = "small.yaml", run_id: str | None = None
) -> dict[str, dict[str, Any]]:
    world = home / "world"
    return run_night(
        home / "warehouse", as_of, world / "reviews.jsonl.gz", world / "items.jsonl.gz", home / config, jobs, run_id
    )


def test_airflow_runs_the_night_and_shows_it(home: Path) -> None:
    output = (home / "output.txt").read_text()
    for job in ORDER:
        assert re.search(rf"✓ {job} ", output), output
    assert "Published" in output
    assert re.search("Reviewers .*: “", output)
    report = home / "warehouse" / "_reports" / f"{FIRST}.html"
    assert str(report) in output.replace("\n", "")
    assert "</html>" in report.read_text(encoding="utf-8")


def test_every_line_is_accounted_for(home: Path) -> None:
    warehouse = Warehouse(home / "warehouse")
    (told,) = attempts(Warehouse(home / "warehouse")).values()
    summary = next(one for one in told if one.task == "reviews").summary()
    with gzip.open(home / "world" / "reviews.jsonl.gz") as lines:
        total = sum(1 for _ in lines)
    refused = warehouse.read("rejected_reviews", where="input = 'reviews'").num_rows
    assert summary["not_yet"] > 0
    assert total == summary["lines"] == warehouse.read("reviews").num_rows + refused + summary["not_yet"]


def test_three_engines_open_every_table_with_equal_counts(home: Path, spark: "SparkSession") -> None:
    warehouse = Warehouse(home / "warehouse")
    for table in set(table_names()) - NOT_MADE:
        stored = DeltaTable(warehouse.path(table))
        connection = duckdb.connect()
        connection.register("stored", stored.to_pyarrow_dataset())
        counts = {
            "delta-rs": stored.count(),
            "duckdb": connection.sql("SELECT count(*) FROM stored").fetchall()[0][0],
            "spark": spark.read.format("delta").load(warehouse.path(table)).count(),
        }
        assert len(set(counts.values())) == 1, (table, counts)


def test_users_with_lists_are_recommended_from_them_alone(home: Path) -> None:
    warehouse = Warehouse(home / "warehouse")
    listed = warehouse.read("candidates").to_pylist()
    pairs, users = {(row["user_id"], row["item_id"]) for row in listed}, {row["user_id"] for row in listed}
    rows = read_released(warehouse, "user_item_topk").to_pylist()
    theirs = [row for row in rows if row["user_id"] in users]
    assert len({row["user_id"] for row in theirs}) > 5
    assert all((row["user_id"], row["item_id"]) in pairs for row in theirs)
    assert {row["user_id"] for row in rows} > users


def test_scores_explain_themselves(home: Path) -> None:
    rows = read_released(Warehouse(home / "warehouse"), "user_item_topk").to_pylist()
    assert rows
    for row in rows:
        assert sum(c["share"] for c in row["contributions"]) == pytest.approx(row["score"], abs=1e-9)
        assert row["explanation"]
        assert not row["explanation"].startswith(row["persona_name"])


def test_a_rerun_leaves_every_table_at_its_version_and_embeds_nothing(home: Path, spark: "SparkSession") -> None:
    warehouse = Warehouse(home / "warehouse")
    before, release = state(warehouse), served(warehouse)
    summaries = again(home, FIRST)
    assert state(warehouse) == before
    assert served(warehouse) == release
    assert sum(summary.get("embedded", 0) for summary in summaries.values()) == 0
    assert summaries["review_aspects"]["extracted"] == summaries["item_summaries"]["extracted"] == 0
    assert summaries["encoders"]["trained"] is False
    assert summaries["user_vectors"]["encoded"] == summaries["persona_vectors"]["encoded"] == 0


def test_an_earlier_night_is_refused(home: Path, spark: "SparkSession") -> None:
    with pytest.raises(ReleaseError, match=r"lies before the served release .* another WAREHOUSE"):
        again(home, FIRST - timedelta(days=1), ("reviews",))


@pytest.mark.chaos
def test_killed_publications_leave_the_whole_old_or_the_whole_new_night(home: Path, spark: "SparkSession") -> None:
    """The next night, its `releases` task killed at several moments; then it completes, doing only what changed."""
    warehouse = Warehouse(home / "warehouse")
    first = served(warehouse)
    assert first is not None
    old = read_released(warehouse, "user_item_topk")
    ranked = ORDER[: ORDER.index("releases")]
    summaries = again(home, SECOND, ranked, "everybody.yaml")
    new_reviews = summaries["reviews"]["written"][1]["inserted"]
    assert new_reviews > 0
    assert summaries["review_aspects"]["extracted"] == new_reviews
    assert 0 < summaries["item_personas"]["extracted"] < summaries["item_personas"]["items"]
    assert summaries["encoders"]["trained"] is False  # the served encoder is young enough
    assert 0 < summaries["user_vectors"]["encoded"] <= new_reviews
    assert summaries["user_item_topk"]["ranked"] == "everybody: max_changed_share is 0"
    part = again(home, SECOND, ranked)["user_item_topk"]
    assert part["ranked"] == "changes"
    assert 0 < part["changed_users"] <= new_reviews
    assert [part["candidate"][name] for name in ("inserted", "updated", "deleted")] == [0, 0, 0]
    run_id = run_rows(warehouse)[-1]["run_id"]
    command = [sys.executable, "-m", "jobs.releases", "--warehouse", str(warehouse.root), "--run-id", run_id]
    log = Path(warehouse.path("user_item_topk")) / "_delta_log"
    commits = len(list(log.glob("*.json")))
    moments: list[Callable[[], bool]] = [
        lambda: warehouse.holder("publication") is not None,  # it audits
        lambda: len(list(log.glob("*.json"))) > commits,  # the lists are replaced, and no release names them yet
    ]
    for ready in moments:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        assert kill_when(process, ready), "it ended before it could be killed"
        assert served(warehouse) == first
        assert read_released(warehouse, "user_item_topk").equals(old)
    finished = again(home, SECOND, ("releases", "report"), run_id=run_id)
    assert [row["outcome"] for row in run_rows(warehouse)][-1] == "published"
    assert finished["releases"]["verdict"] == "published"
    second = served(warehouse)
    assert second is not None
    assert second.as_of == SECOND
    assert second.encoder_id == first.encoder_id
    assert len(published(warehouse)) == 2
    rows = read_released(warehouse, "user_item_topk").to_pylist()
    kept = [row for row in rows if row["changed_as_of"] == FIRST]
    before = {(row["user_id"], row["rank"]): row for row in old.to_pylist()}
    assert kept
    assert len(kept) < len(rows)
    assert all(before[row["user_id"], row["rank"]] == row for row in kept)
    assert read_released(warehouse, "user_item_topk", first).equals(old)


def test_persona_ids_survive_the_night(home: Path, spark: "SparkSession") -> None:
    warehouse = Warehouse(home / "warehouse")
    if len(published(warehouse)) == 1:  # alone, without the test that kills the second night
        again(home, SECOND)
    first, second = published(warehouse)
    ids = [
        set(read_released(warehouse, "item_personas", r, where="status = 'current'")["persona_id"].to_pylist())
        for r in (first, second)
    ]
    assert len(ids[0] & ids[1]) >= 0.8 * len(ids[0])
    retired = read_released(warehouse, "item_personas", second, where="status = 'retired'").to_pylist()
    assert ids[0] - ids[1] == {row["persona_id"] for row in retired}
    assert all(row["retired_as_of"] == SECOND for row in retired)


def test_a_refused_night_changes_nothing_readers_see(
    home: Path, spark: "SparkSession", monkeypatch: pytest.MonkeyPatch
) -> None:
    from persona_pipeline.publish import audit

    warehouse = Warehouse(home / "warehouse")
    before, release = warehouse.versions(), served(warehouse)
    strict = {"name": "reviews", "expectations": [{
        "type": "expect_column_values_to_be_between", "kwargs": {"column": "rows", "min_value": 99_999},
        "meta": {"notes": "a limit no night can reach"},
    }]}  # fmt: skip
    folder = home / "expectations"
    folder.mkdir()
    for file in audit.EXPECTATIONS.iterdir():
        (folder / file.name).write_text(file.read_text())
    (folder / "reviews.json").write_text(json.dumps(strict))
    monkeypatch.setattr(audit, "EXPECTATIONS", folder)
    with pytest.raises(
        ReleaseError, match=r"reviews\.rows is \d+, expected at least 99999: a limit no night can reach"
    ):
        again(home, SECOND + timedelta(days=1))
    refused_run = run_rows(warehouse)[-1]
    assert refused_run["outcome"] == "refused"
    after = warehouse.versions()
    assert {t: after[t] for t in ("user_item_topk", "default_topk")} == {
        t: before[t] for t in ("user_item_topk", "default_topk")
    }
    assert served(warehouse) == release
    refused = warehouse.read("releases", where="verdict = 'refused'").to_pylist()
    assert len(refused) == 1
    again(home, SECOND + timedelta(days=1), ("report",), run_id=refused_run["run_id"])
    assert (
        "a limit no night can reach" in (warehouse.root / "_reports" / f"{SECOND + timedelta(days=1)}.html").read_text()
    )
