"""The job `report` on a published night of the shop: one page, and none where there is no verdict."""

import pytest
from one_run import OneRun, opened
from publishing import FAILED
from publishing import run as publish

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.publish.audit import Audit
from persona_pipeline.publish.releases import release_row
from persona_pipeline.runs.log import run_row
from persona_pipeline.runs.opening import close_run
from persona_pipeline.warehouse import Warehouse


def judged(warehouse: Warehouse, audit: Audit | None = None) -> OneRun:
    """A run that ended in a verdict."""
    run = opened(warehouse, report={"users": 2})
    row = publish(warehouse, audit=audit) if audit else publish(warehouse)
    close_run(warehouse, run.run_id, row["verdict"], row["release_id"])
    return run


def test_a_page_says_what_readers_get(warehouse: Warehouse) -> None:
    run = judged(warehouse)
    summary = run.do("report")
    assert (summary["report"], summary["users"]) == ("_reports/2024-06-30.html", 2)
    path = warehouse.root / summary["report"]
    page = path.read_text()
    row = release_row(warehouse, run_row(warehouse, run.run_id)["detail"])
    for told in (row["release_id"], "Padded guitar strap", "Gigging players"):
        assert told in page
    run.again("report")
    assert path.read_text() == page


def test_a_refused_night_has_a_page_too(warehouse: Warehouse) -> None:
    summary = judged(warehouse, FAILED).do("report")
    assert "ranks run from 1 without a gap" in (warehouse.root / summary["report"]).read_text()


def test_a_run_without_a_verdict_is_closed_and_has_none(warehouse: Warehouse) -> None:
    run = opened(warehouse)
    with pytest.raises(PipelineError, match="no encoder has been chosen"):
        run.do("persona_vectors")
    with pytest.raises(PipelineError, match=r"came to no verdict.*persona_vectors: no encoder has been chosen"):
        run.do("report")
    assert run_row(warehouse, run.run_id)["outcome"] == "failed"
    assert not (warehouse.root / "_reports").exists()
