"""Rank items by number of likes into `default_topk`, the fallback list for users without a usable history.

Each item comes with its first persona, the best supported one that likes it. Items that may not be recommended are left out,
and the list keeps to the caps of creators and categories.
"""

from datetime import date
from typing import Any

import pyarrow as pa

from persona_pipeline.config import UserItemTopkConfig
from persona_pipeline.contracts import load_contract
from persona_pipeline.core.item_titles import title_sql
from persona_pipeline.encoder.artefact import Encoder
from persona_pipeline.score.caps import first_under_caps
from persona_pipeline.score.explanations import QUOTES, explanation, quoted
from persona_pipeline.score.item_groups import ItemGroups
from persona_pipeline.warehouse import Warehouse

_FIRST = "status = 'current' AND position = 1 AND stance <> 'dislikes'"  # the persona that an item comes with


def default_topk(
    warehouse: Warehouse, encoder: Encoder, config: UserItemTopkConfig, as_of: date, parent_version: int | None
) -> pa.Table:
    """Build the rows of `default_topk`; a row equal to the parent release's keeps its `changed_as_of`."""
    counts = pa.table(
        {"item_id": pa.array(list(encoder.liked_counts), pa.string()), "liked": list(encoder.liked_counts.values())}
    )
    before = warehouse.read("default_topk", version=parent_version) if parent_version is not None else None
    schema = load_contract("default_topk").arrow_schema()
    found = warehouse.query(
        f"""
        SELECT rank, item_id, {title_sql()} AS item_title,
               round(ln(1 + liked), 9) AS score, persona_id, name AS persona_name,
               preference_rationale, persona_source, stance, evidence[1:{QUOTES}] AS evidence,
               'default' AS recommendation_source, $encoder_id AS encoder_id,
               $as_of::DATE AS changed_as_of
        FROM best JOIN item_personas USING (item_id) JOIN items USING (item_id)
        LEFT JOIN (SELECT item_id, summary FROM item_summaries) USING (item_id)
        WHERE {_FIRST} ORDER BY rank
        """,
        ["item_personas", "items", "item_summaries"],
        {"encoder_id": encoder.encoder_id, "as_of": as_of.isoformat()},
        best=_best(warehouse, counts, config),
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


def _best(warehouse: Warehouse, counts: pa.Table, config: UserItemTopkConfig) -> pa.Table:
    """Choose item_id, rank and liked of the list's items."""
    capped = bool(config.max_per_category or config.max_per_creator)
    popular = warehouse.query(
        f"""
        SELECT item_id, liked, creator, categories FROM counts JOIN items USING (item_id)
        SEMI JOIN (SELECT item_id FROM item_personas WHERE {_FIRST}) USING (item_id)
        WHERE available ORDER BY liked DESC, item_id LIMIT $most
        """,
        ["item_personas", "items"],
        {"most": None if capped else config.k},
        counts=counts,
    )
    if capped:
        groups = ItemGroups.of(popular["item_id"].to_numpy(zero_copy_only=False), popular, config, ())
        popular = popular.take(pa.array(first_under_caps(groups, config.k)))
    return popular.append_column("rank", pa.array(range(1, popular.num_rows + 1), pa.int32()))


def _explanation(row: dict[str, Any]) -> str:
    source = row["persona_source"]
    return explanation(source, row["preference_rationale"], "liked", quoted(source, row["stance"], row["evidence"]), "")
