"""Nights of the shop judged and published without Spark, their candidates told apart by the first score."""

from collections.abc import Callable
from datetime import date

from helpers import AS_OF, Row, put, shop

from persona_pipeline.config import PipelineConfig
from persona_pipeline.publish.audit import Audit, FailedCheck
from persona_pipeline.publish.publication import audited_versions, publish_or_refuse
from persona_pipeline.publish.releases import parent_of, read_released
from persona_pipeline.publish.staging import PUBLISHED, staged_tables
from persona_pipeline.warehouse import Warehouse

CONFIG = PipelineConfig()
PASSED = Audit({"reviews.rows": 10.0, "user_item_topk.user_coverage": 1.0}, [])
BROKEN_RANKS = FailedCheck("user_item_topk.ranks_broken", 1, None, 0, "unsound", "ranks run from 1 without a gap")
FAILED = Audit({"reviews.rows": 10.0}, [BROKEN_RANKS])
FAR = Audit(
    {"reviews.rows": 10.0}, [FailedCheck("user_item_topk.replaced", 0.9, None, 0.5, "drift", "lists that differ")]
)
TONIGHT = date(2024, 7, 1)


def publisher(warehouse: Warehouse) -> Callable[[], None]:
    """Published tables made equal to their candidates; committed only where they differ, as Spark does it."""

    def publish() -> None:
        for table in PUBLISHED:
            rows = staged_tables(warehouse).read(table)
            if not warehouse.read(table).equals(rows):
                put(warehouse, table, rows.to_pylist())

    return publish


def run(warehouse: Warehouse, as_of: date = AS_OF, audit: Audit = PASSED, config: PipelineConfig = CONFIG) -> Row:
    parent = parent_of(warehouse, as_of)
    return publish_or_refuse(
        warehouse, as_of, config, parent, "enc1", audit, publisher(warehouse), audited_versions(warehouse)
    )


def propose(warehouse: Warehouse, score: float) -> None:
    """Another candidate, told by its first score."""
    rows = shop()["user_item_topk"]
    rows[0]["score"] = score
    put(staged_tables(warehouse), "user_item_topk", rows)


def first_score(warehouse: Warehouse) -> float:
    found = read_released(warehouse, "user_item_topk", where="user_id = 'ana' AND rank = 1")
    score: float = found["score"][0].as_py()
    return score


def verdicts(warehouse: Warehouse) -> dict[str, str]:
    rows = warehouse.read("releases")
    return dict(zip(rows["release_id"].to_pylist(), rows["verdict"].to_pylist(), strict=True))
