"""kill -9 of a shard while its engine generates, and of a committer while it merges: the rerun ends in the same tables."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from helpers import put, put_all, shop
from killed_job import BATCH

from persona_pipeline.warehouse import Warehouse

PROGRAM = Path(__file__).resolve().parents[2] / "support" / "killed_job.py"
SHARDS = ("extraction_shard:0", "extraction_shard:1")
STAGES = ("review_aspects", "item_summaries", "item_personas")
NIGHT = ("extraction_plan", *SHARDS, *STAGES)
TABLES = (*STAGES, "quarantine", "llm_calls")
FLYING = 5  # requests the fixture engine holds at once

pytestmark = pytest.mark.chaos


def start(warehouse: Path, *arguments: str) -> subprocess.Popen[str]:
    asked = warehouse.parent / f"{warehouse.name}.asked"
    command = [sys.executable, str(PROGRAM), str(warehouse), str(asked), *arguments]
    path = os.pathsep.join([str(PROGRAM.parent), str(PROGRAM.parents[2])])
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )


def finish(warehouse: Path, *jobs: str) -> None:
    process = start(warehouse, *jobs)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def asked(warehouse: Path) -> Counter[str]:
    return Counter((warehouse.parent / f"{warehouse.name}.asked").read_text().split())


def fresh(path: Path) -> Path:
    """A warehouse before extraction; last night refused a summary and a review, which tonight lifts."""
    made = ("reviews", "items", "item_reviews", "user_histories")
    put_all(Warehouse(path), {table: rows for table, rows in shop().items() if table in made})
    refused = {"reason": "truncated", "detail": "no end after 160 tokens", "extraction_key": "of last night"}
    subjects = [("item_summaries", "capo"), ("item_personas", "capo"), ("review_aspects", "ana-strap")]
    put(Warehouse(path), "quarantine", [{"stage": stage, "subject_id": one, **refused} for stage, one in subjects])
    return path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night nobody disturbed."""
    path = fresh(tmp_path_factory.mktemp("undisturbed") / "wh")
    finish(path, *NIGHT)
    return path


def same_tables(found: Path, wanted: Path) -> None:
    for table in TABLES:
        left, right = Warehouse(found).read(table), Warehouse(wanted).read(table)
        assert (left.num_rows > 0) == (table != "quarantine")
        assert left.equals(right), table


def test_a_shard_killed_while_generating_asks_again_one_small_batch_at_most(tmp_path: Path, undisturbed: Path) -> None:
    warehouse = fresh(tmp_path / "wh")
    finish(warehouse, "extraction_plan")
    ledger = warehouse / "_llm_calls"
    kills = 0
    for shard in SHARDS:
        process = start(warehouse, shard, "--seconds", "0.3")
        before = len(list(ledger.glob("*.parquet")))
        deadline = time.monotonic() + 60
        while len(list(ledger.glob("*.parquet"))) == before and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.6))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    assert kills == 2
    assert 0 < sum(asked(warehouse).values()) < sum(asked(undisturbed).values())
    finish(warehouse, *SHARDS, *STAGES)
    assert asked(warehouse).keys() == asked(undisturbed).keys()
    again = asked(warehouse).total() - len(asked(warehouse))
    assert again <= kills * (BATCH + FLYING)
    same_tables(warehouse, undisturbed)


@pytest.mark.parametrize(
    ("job", "when"),
    [
        ("extraction_shard:0", "after:append:llm_calls"),
        ("extraction_shard:0", "after:append:text_embeddings"),
        ("review_aspects", "before:commit_changes:review_aspects"),
        ("item_summaries", "after:commit_changes:item_summaries"),
        ("item_summaries", "before:commit_changes:item_summaries"),
        ("item_personas", "before:commit_changes:item_personas"),
        ("item_personas", "after:commit_changes:item_personas"),
    ],
)
def test_a_process_killed_at_a_write_leaves_nothing_half_done(
    job: str, when: str, tmp_path: Path, undisturbed: Path
) -> None:
    """The worst moments, each hit exactly: answers merged but their files still there, a table written but not the other."""
    warehouse = fresh(tmp_path / "wh")
    place = NIGHT.index(job)
    process = start(warehouse, *NIGHT[: place + 1], "--die", when)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    finish(warehouse, *NIGHT[place:])
    assert asked(warehouse).keys() == asked(undisturbed).keys()
    assert asked(warehouse).total() - len(asked(warehouse)) <= FLYING  # answers were kept, whatever the moment
    same_tables(warehouse, undisturbed)


def test_two_shards_at_once_lose_and_double_nothing(tmp_path: Path, undisturbed: Path) -> None:
    warehouse = fresh(tmp_path / "wh")
    finish(warehouse, "extraction_plan")
    shards = [start(warehouse, shard, "--seconds", "0.02") for shard in SHARDS]
    for process in shards:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    finish(warehouse, *STAGES)
    assert asked(warehouse) == asked(undisturbed)
    same_tables(warehouse, undisturbed)
    cached = Warehouse(warehouse).read("text_embeddings").select(["text_hash", "base_model"]).to_pylist()
    assert len({tuple(row.values()) for row in cached}) == len(cached)
