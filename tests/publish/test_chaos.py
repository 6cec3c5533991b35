"""Publication killed at its worst moments, twice at once, and rolled back, under the eyes of a reader that never stops."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from killed_publication import files, kill_when, prepare, publish, said, wanted
from published_reader import digest

from persona_pipeline.publish.releases import missing_files, published, release_of, release_rows, served
from persona_pipeline.publish.retention import clean
from persona_pipeline.publish.rollback import roll_back
from persona_pipeline.warehouse import Warehouse

READER = Path(__file__).resolve().parents[1] / "support" / "published_reader.py"

pytestmark = [pytest.mark.chaos, pytest.mark.slow]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("chaos"))


def test_whatever_happens_readers_see_one_night_or_the_other(root: Path) -> None:
    warehouse = Warehouse(root)
    old, new = wanted(root)
    assert old != new
    first = served(warehouse)
    assert first is not None
    stop = root.parent / "stop"
    reader = subprocess.Popen(
        [sys.executable, str(READER), str(root), str(stop)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "reading\n"
    try:
        for ready in _worst_moments(root):
            assert kill_when(publish(root), ready), "it ended before it could be killed"
            assert digest(warehouse) == (old if served(warehouse) == first else new)
        outputs = _two_at_once(root)
        assert outputs[0]["verdict"] == "published"
        assert outputs[1]["error"].startswith(f"task-releases in {root} is held by another process (")
        second = served(warehouse)
        assert second is not None
        assert (digest(warehouse), digest(warehouse, first)) == (new, old)
        assert len(published(warehouse)) == 2
        roll_back(warehouse, first.release_id, "ana", "a test")
        assert digest(warehouse) == old
        roll_back(warehouse, second.release_id, "ana", "a test")
        assert digest(warehouse) == new
        clean(warehouse, keep=2, grace_hours=24)
        assert not any(missing_files(warehouse, release_of(row)) for row in release_rows(warehouse))
    finally:
        stop.touch()
        output, errors = reader.communicate(timeout=60)
    assert reader.returncode == 0, errors
    found = json.loads(output)
    assert found["reads"] > 10
    assert found["seen"] == {"opened": [old], first.release_id: [old], second.release_id: [new]}


def _worst_moments(root: Path) -> list[Callable[[], bool]]:
    """Files of the MERGE are there, but not its commit; then one table is written; then both, but no release."""
    patterns = ("user_item_topk/**/*.parquet", "user_item_topk/_delta_log/*.json", "default_topk/_delta_log/*.json")
    before = {pattern: files(root, pattern) for pattern in patterns}
    return [partial(_grown, root, *found) for found in before.items()]


def _grown(root: Path, pattern: str, before: int) -> bool:
    return files(root, pattern) > before


def _two_at_once(root: Path) -> list[dict[str, str]]:
    """The last events of two publications started together, the winner's first."""
    processes = [publish(root) for _ in range(2)]
    outputs = [process.communicate(timeout=300)[0] for process in processes]
    by_code = sorted(zip((process.returncode for process in processes), outputs, strict=True))
    assert [code for code, _ in by_code] == [0, 75], outputs
    return [said(output) for _, output in by_code]
