"""Rows of a shop with two items, and a way to write any table."""

from datetime import date
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from persona_pipeline.config import PipelineConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.warehouse import Warehouse

AS_OF = date(2024, 6, 30)
HOSTILE = "<script>alert('x')</script>"
SPAN = {"kind": "review", "ref": "r1", "start": 0, "end": 4, "quote": f"nice {HOSTILE}"}
CONTRIBUTIONS: list[dict[str, Any]] = [
    {"kind": "popularity", "review_id": None, "item_id": None, "share": 0.2004},
    *({"kind": "interaction", "review_id": f"r{n}", "item_id": "tin", "share": 0.1004} for n in range(5)),
    {"kind": "prior", "review_id": None, "item_id": None, "share": 0.0804},
    {"kind": "other_personas", "review_id": None, "item_id": None, "share": -0.0504},
]
SCORE: float = sum(c["share"] for c in CONTRIBUTIONS)


def put(warehouse: Warehouse, table: str, rows: list[dict[str, Any]]) -> None:
    """Write a table whole, whichever engine its contract names."""
    contract = load_contract(table)
    found = pa.Table.from_pylist(rows, schema=contract.arrow_schema())
    write_deltalake(warehouse.path(table), found, mode="overwrite", partition_by=list(contract.partition_by) or None)


def recommendation(user: str, rank: int, title: str = "Paper card") -> dict[str, Any]:
    """A row of `user_item_topk`."""
    return {
        "user_id": user, "rank": rank, "item_id": "card", "item_title": title, "score": SCORE, "persona_id": "p1",
        "persona_name": "Givers", "explanation": f"Givers: it is {HOSTILE}", "evidence": [SPAN],
        "contributions": CONTRIBUTIONS,
        "recommendation_source": "persona", "encoder_id": "enc1", "changed_as_of": AS_OF, "user_bucket": 0,
    }  # fmt: skip


def release(
    verdict: str, reasons: list[str], versions: dict[str, int], release_id: str = "2024-06-30-aaaa"
) -> dict[str, Any]:
    """A row of `releases`."""
    return {
        "release_id": release_id, "as_of": AS_OF, "parent_release_id": None, "verdict": verdict, "reasons": reasons,
        "encoder_id": "enc1", "config_digest": PipelineConfig().digest(), "config": "{}",
        "table_versions": [{"table": t, "version": v} for t, v in versions.items()],
        "metrics": [{"name": "user_item_topk.user_coverage", "value": 0.5}, {"name": "reviews.rows", "value": 6.0}],
    }  # fmt: skip


_WRITE = {"table": "review_aspects", "inserted": 4, "updated": 0, "deleted": 0, "version": 1}
SUMMARIES: dict[str, dict[str, Any]] = {
    "review_aspects": {"reviews": 10, "extracted": 4, "written": [_WRITE], "seconds": 61.0},
    "reviews": {
        "lines": 11,
        "not_yet": 3,
        "unavailable": {"recalled": 2, "delisted": 1},
        "written": [],
        "seconds": 2.0,
    },
}
"""What two of the night's tasks counted."""
