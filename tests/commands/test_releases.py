"""`persona-pipeline releases` as it is typed: what it changes, what it says, and how it ends when it cannot."""

from datetime import timedelta
from pathlib import Path

import pytest
from helpers import AS_OF, put_all, shop
from publishing import PASSED, first_score, propose, run
from typer.testing import CliRunner

from persona_pipeline.commands.app import app
from persona_pipeline.core.errors import PipelineError
from persona_pipeline.publish.audit import Audit, FailedCheck
from persona_pipeline.publish.releases import release_row
from persona_pipeline.warehouse import Warehouse

FAR = Audit(
    PASSED.measures,
    [FailedCheck("user_item_topk.lost_users", 0.4, None, 0.05, "drift", "the parent's users still have lists")],
)
NIGHTS = [AS_OF + timedelta(days=n) for n in range(3)]


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """The shop up to its candidates."""
    found = Warehouse(tmp_path / "warehouse")
    put_all(found, shop())
    return found


@pytest.fixture
def ids(warehouse: Warehouse) -> list[str]:
    """Two nights published, one refused for being far off."""
    ids = []
    for as_of, score, audit in zip(NIGHTS, (0.61, 0.62, 0.63), (PASSED, PASSED, FAR), strict=True):
        propose(warehouse, score)
        ids.append(run(warehouse, as_of, audit)["release_id"])
    return ids


def typed(warehouse: Warehouse, *arguments: str) -> str:
    done = CliRunner().invoke(app, ["releases", *arguments, "--warehouse", str(warehouse.root)], catch_exceptions=False)
    assert done.exit_code == 0
    return " ".join(done.output.split())


def test_list_show_and_diff(warehouse: Warehouse, ids: list[str]) -> None:
    assert f"{ids[1]} published served enc1" in typed(warehouse, "list")
    assert "user_item_topk.lost_users is 0.4" in typed(warehouse, "show", ids[2])
    assert "all 0 0 0 0 0 1" in typed(warehouse, "diff", *ids[:2])


def test_rollback_and_back(warehouse: Warehouse, ids: list[str]) -> None:
    said = typed(warehouse, "rollback", ids[0], "--reason", "empty titles")
    assert f"Readers see {ids[0]}, as of {AS_OF} withdrawn: {ids[1]} tables brought back: user_item_topk" in said
    assert first_score(warehouse) == 0.61
    (told,) = release_row(warehouse, ids[1])["reasons"]
    assert told.endswith(": empty titles")
    assert "withdrawn: nothing" in typed(warehouse, "rollback", ids[1])
    assert first_score(warehouse) == 0.62
    with pytest.raises(PipelineError, match="has never been published"):
        typed(warehouse, "rollback", ids[2])


def test_accept(warehouse: Warehouse, ids: list[str]) -> None:
    assert f"{ids[2]} is accepted; clear the task `releases`" in typed(warehouse, "accept", ids[2])
    assert run(warehouse, NIGHTS[2], FAR)["verdict"] == "published"
    with pytest.raises(PipelineError, match="only a refused one can be accepted"):
        typed(warehouse, "accept", ids[2])


def test_clean(warehouse: Warehouse, ids: list[str]) -> None:
    settings = warehouse.root / "keep.yaml"
    settings.write_text("releases: {keep: 1, grace_hours: 0}\n")
    before = len(list(warehouse.root.rglob("*.parquet")))
    assert "user_item_topk 1 file" in typed(warehouse, "clean", "--config", str(settings), "--dry-run")
    assert len(list(warehouse.root.rglob("*.parquet"))) == before
    assert "files deleted, 0.0 MB" in typed(warehouse, "clean", "--config", str(settings))
    assert len(list(warehouse.root.rglob("*.parquet"))) < before
    assert first_score(warehouse) == 0.62
