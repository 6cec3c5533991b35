"""Write refused extractor outputs to `quarantine`, each as long as it is the latest result for its subject, and query them."""

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from persona_pipeline.contracts import load_contract
from persona_pipeline.extract.types import Refusal, Stage
from persona_pipeline.warehouse import Warehouse, WriteResult

Row = dict[str, Any]

_SUBJECTS: dict[Stage, tuple[str, str]] = {
    "review_aspects": ("reviews", "review_id"),
    "item_summaries": ("items", "item_id"),
    "item_personas": ("items", "item_id"),
    "persona_choices": ("reviews", "review_id"),
}


def write_refusals(
    warehouse: Warehouse, stage: Stage, asked: pa.Table | ds.Dataset | None, refused: Iterable[tuple[Refusal, str]]
) -> WriteResult:
    """Replace the refusals of the subjects extracted in this run, each with its extraction key.

    Rows of other stages stay, and rows of this stage about existing subjects that were not extracted in this run;
    `asked` has those as `subject`; it is None where the stage extracts every subject anew in each run.
    """
    table, key = _SUBJECTS[stage]
    kept = warehouse.query(
        f"SELECT * FROM quarantine WHERE stage <> $stage OR (NOT $all AND subject_id IN (SELECT {key} FROM {table}) "
        "AND subject_id NOT IN (SELECT subject FROM asked))",
        ["quarantine", table],
        {"stage": stage, "all": asked is None},
        asked=pa.table({"subject": pa.array([], pa.string())}) if asked is None else asked,
    )
    rows = [
        {
            "stage": stage,
            "subject_id": refusal.subject,
            "reason": refusal.reason,
            "detail": refusal.detail,
            "extraction_key": extraction_key,
        }
        for refusal, extraction_key in refused
    ]
    schema = load_contract("quarantine").arrow_schema()
    return warehouse.replace(
        "quarantine", pa.concat_tables([kept.cast(schema), pa.Table.from_pylist(rows, schema=schema)])
    )


def refusals(
    warehouse: Warehouse,
    stages: Sequence[str] = (),
    reason: str | None = None,
    subjects: Sequence[str] = (),
    limit: int | None = None,
) -> list[Row]:
    """Query rows of `quarantine` with item_id and title, in the order of its key; the first `limit` of them.

    A refused review is listed with its item.
    """
    found: list[Row] = warehouse.query(
        f"""
        SELECT stage, subject_id, reason, detail, coalesce(reviews.item_id, items.item_id) AS item_id, items.title
        FROM quarantine LEFT JOIN reviews ON review_id = subject_id
        LEFT JOIN items ON items.item_id = coalesce(reviews.item_id, subject_id)
        WHERE ({not stages} OR stage IN (FROM stages)) AND reason = coalesce($reason, reason)
        AND ({not subjects} OR subject_id IN (FROM subjects))
        ORDER BY stage, subject_id, reason LIMIT $most
        """,
        ["quarantine", "reviews", "items"],
        {"reason": reason, "most": 2**62 if limit is None else limit},
        stages=pa.table({"stage": pa.array(stages, pa.string())}),
        subjects=pa.table({"subject_id": pa.array(subjects, pa.string())}),
    ).to_pylist()
    return found
