"""Rank items by number of likes into `default_topk`, the fallback list for users without a usable history.

Each item comes with its first persona, the best supported one that likes it.
"""

from datetime import date
from typing import Any

import pyarrow as pa

from persona_pipeline.contracts import load_contract
from persona_pipeline.core.item_titles import title_sql
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.score.explanations import QUOTES, explanation, quoted
from persona_pipeline.warehouse import Warehouse


def default_topk(warehouse: Warehouse, encoder: Encoder, k: int, as_of: date, parent_version: int | None) -> pa.Table:
    """Build the rows of `default_topk`; a row equal to the parent release's keeps its `changed_as_of`."""
    counts = pa.table(
        {"item_id": pa.array(list(encoder.liked_counts), pa.string()), "liked": list(encoder.liked_counts.values())}
    )
    before = warehouse.read("default_topk", version=parent_version) if parent_version is not None else None
    schema = load_contract("default_topk").arrow_schema()
    found = warehouse.query(
        f"""
        WITH best AS (
            SELECT *, row_number() OVER (ORDER BY liked DESC, item_id)::INTEGER AS rank
            FROM counts JOIN item_personas USING (item_id) JOIN items USING (item_id)
            LEFT JOIN (SELECT item_id, summary FROM item_summaries) USING (item_id)
            WHERE status = 'current' AND item_personas.position = 1 AND stance <> 'dislikes'
        )
        SELECT rank, item_id, {title_sql()} AS item_title,
               round(ln(1 + liked), 9) AS score, persona_id, name AS persona_name,
               preference_rationale, persona_source, stance, evidence[1:{QUOTES}] AS evidence,
               'default' AS recommendation_source, $encoder_id AS encoder_id,
               $as_of::DATE AS changed_as_of
        FROM best WHERE rank <= $k ORDER BY rank
        """,
        ["item_personas", "items", "item_summaries"],
        {"k": k, "encoder_id": encoder.encoder_id, "as_of": as_of.isoformat()},
        counts=counts,
    )
    explanations = pa.array([_explanation(row) for row in found.to_pylist()], pa.string())
    rows = found.append_column("explanation", explanations).select(schema.names).cast(schema)
    if before is None:
        return rows
    same = " AND ".join(f"rows.{n} IS NOT DISTINCT FROM before.{n}" for n in schema.names if n != "changed_as_of")
    return warehouse.query(
        "SELECT rows.* REPLACE (coalesce(before.changed_as_of, rows.changed_as_of) AS changed_as_of) "
        f"FROM rows LEFT JOIN before ON {same} ORDER BY rows.rank",
        [],
        rows=rows,
        before=before,
    ).cast(schema)


def _explanation(row: dict[str, Any]) -> str:
    source = row["persona_source"]
    return explanation(source, row["preference_rationale"], "liked", quoted(source, row["stance"], row["evidence"]), "")
