"""A whole backtest on a small synthetic world: nothing withheld enters a night, and a second run redoes nothing."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from persona_pipeline.errors import LeakError
from persona_pipeline.evaluate.leaks import require_nothing_withheld
from persona_pipeline.evaluate.splits import leave_last_out
from persona_pipeline.sources.synthetic import SyntheticConfig, generate, write
from persona_pipeline.warehouse import Warehouse

WORLD = SyntheticConfig(n_users=80, n_items=40, n_reviews=240, n_latent_personas=8)
CONFIG = """
encoders: {steps: 5, batch_size: 64}
user_item_topk: {user_buckets: 2}
spark: {driver_memory: 2g, shuffle_partitions: 2}
"""


def backtested(home: Path, *options: str) -> str:
    command = [
        *(str(Path(sys.executable).parent / "persona-pipeline"), "backtest", "--source", "jsonl"),
        *("--reviews", str(home / "world" / "reviews.jsonl.gz"), "--items", str(home / "world" / "items.jsonl.gz")),
        *("--config", str(home / "small.yaml"), "--warehouse", str(home / "backtest"), "--no-baselines", *options),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=home)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("backtest")
    write(generate(WORLD), home / "world")
    (home / "small.yaml").write_text(CONFIG)
    (home / "output.txt").write_text(backtested(home))
    return home


@pytest.mark.slow
def test_nothing_withheld_is_in_any_table(home: Path) -> None:
    nights = {name: Warehouse(home / "backtest" / name) for name in ("all", "tuning", "test")}
    split = leave_last_out(nights["all"])
    assert split.test.num_rows > 40
    assert 0 < split.validation.num_rows <= split.test.num_rows
    require_nothing_withheld(nights["test"], split.test)
    require_nothing_withheld(nights["tuning"], split.tuning())
    # The check can fail: the test night may know what is validated on, and does.
    with pytest.raises(LeakError, match="table item_personas"):
        require_nothing_withheld(nights["test"], split.validation)
    counts = {name: night.read("reviews").num_rows for name, night in nights.items()}
    assert counts["all"] - counts["test"] == split.test.num_rows
    assert counts["test"] - counts["tuning"] == split.validation.num_rows


@pytest.mark.slow
def test_every_test_user_is_judged_on_every_metric(home: Path) -> None:
    root = Warehouse(home / "backtest")
    users = leave_last_out(Warehouse(home / "backtest" / "all")).test["user_id"].to_pylist()
    rows = root.read("evaluation_metrics")
    [evaluation_id] = set(rows["evaluation_id"].to_pylist())
    judged = root.query(
        "SELECT users, value, metric FROM evaluation_metrics WHERE slice = 'all' AND cutoff = 10",
        ["evaluation_metrics"],
    ).to_pylist()
    found = {row["metric"]: row["value"] for row in judged}
    assert {row["users"] for row in judged} == {len(users)}
    assert found["hit"] == found["recall"] > 0
    by_user = pq.read_table(home / "backtest" / "_evaluations" / f"{evaluation_id}.parquet")
    assert sorted(by_user["user_id"].to_pylist()) == sorted(users)
    assert evaluation_id in (home / "output.txt").read_text()


@pytest.mark.slow
def test_a_second_run_redoes_nothing(home: Path) -> None:
    root = home / "backtest"
    before = {name: Warehouse(root / name).versions() for name in ("", "all", "tuning", "test")}
    output = backtested(home)
    assert not re.search("✓", output)
    assert "ndcg@10" in output
    assert {name: Warehouse(root / name).versions() for name in before} == before


@pytest.mark.slow
def test_before_a_day_users_are_judged_on_what_they_did_since(home: Path) -> None:
    day = datetime.fromtimestamp(WORLD.end_timestamp, UTC).date() - timedelta(days=60)
    output = backtested(
        home, "--split", day.isoformat(), "--warehouse", str(home / "dated"), "--cache", str(home / "backtest")
    )
    assert f"test: as of {day}" in output
    test = Warehouse(home / "dated" / "test")
    assert test.query("SELECT max(reviewed_at) AS newest FROM reviews", ["reviews"])["newest"][0].as_py().date() < day
    rows = Warehouse(home / "dated").read("evaluation_metrics")
    assert set(rows["split"].to_pylist()) == {day.isoformat()}
    # Most texts were embedded for the other backtest.
    assert (home / "dated" / "test" / "text_embeddings").resolve() == home / "backtest" / "text_embeddings"
