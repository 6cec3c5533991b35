"""What an extractor refused, in `quarantine`, for as long as it is the last word about its subject."""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from persona_pipeline.contracts import load_contract
from persona_pipeline.extract.types import Refusal, Stage
from persona_pipeline.warehouse import Warehouse, WriteResult

_SUBJECTS: dict[Stage, tuple[str, str]] = {
    "review_aspects": ("reviews", "review_id"),
    "item_summaries": ("items", "item_id"),
    "item_personas": ("items", "item_id"),
    "persona_choices": ("reviews", "review_id"),
}


def write_refusals(
    warehouse: Warehouse, stage: Stage, asked: Sequence[str] | None, refused: Iterable[tuple[Refusal, str]]
) -> WriteResult:
    """Put tonight's refusals, each with its extraction key, in the place of all that was on record about the subjects asked.

    What other stages wrote stays, and what this one wrote about a subject that is still there and was not asked tonight;
    `asked` is None where the stage answers everything anew each night.
    """
    table, key = _SUBJECTS[stage]
    kept = warehouse.query(
        f"SELECT * FROM quarantine WHERE stage <> $stage OR (NOT $all AND subject_id IN (SELECT {key} FROM {table}) "
        "AND subject_id NOT IN (SELECT subject FROM asked))",
        ["quarantine", table],
        {"stage": stage, "all": asked is None},
        asked=pa.table({"subject": pa.array(asked or [], pa.string())}),
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
