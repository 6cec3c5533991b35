"""Sample personas (`item_personas`) and explanations (`user_item_topk`) of the served release for judging, by hash.

The sample is the same every time, and a larger sample contains every smaller one.
"""

from persona_pipeline.core.errors import PipelineError
from persona_pipeline.evaluate.human.records import ExplanationToJudge, PersonaToJudge, said
from persona_pipeline.publish.releases import served
from persona_pipeline.warehouse import Warehouse

_SAYING = "('llm', 'embedded', 'published')"
"""Sources of personas that say something of their own; quotes and metadata speak for themselves."""


def sample_personas(warehouse: Warehouse, count: int, seed: str = "") -> list[PersonaToJudge]:
    """Sample current personas of the served release that make a statement. Raises PipelineError where there is no release."""
    rows = warehouse.query(
        f"""
        SELECT item_personas.*, title FROM item_personas LEFT JOIN items USING (item_id)
        WHERE status = 'current' AND persona_source IN {_SAYING}
        ORDER BY md5(concat($seed, persona_id, extraction_key)), persona_id LIMIT $count
        """,
        [],
        {"count": count, "seed": seed},
        **_released(warehouse, "item_personas", "items"),
    )
    return [
        PersonaToJudge(
            said=said(row),
            item_title=row["title"],
            quotes=[span["quote"] for span in row["evidence"]],
            **{
                column: row[column]
                for column in (
                    "persona_id", "item_id", "name", "description", "preference_rationale", "stance", "topic",
                    "persona_source", "extractor_version",
                )
            },
        )
        for row in rows.to_pylist()
    ]  # fmt: skip


def sample_explanations(warehouse: Warehouse, count: int, seed: str = "") -> list[ExplanationToJudge]:
    """Sample explanations of the served release, of one user and item each."""
    rows = warehouse.query(
        """
        SELECT t.item_id, item_title, persona_source, extractor_version, topic, explanation
        FROM user_item_topk AS t JOIN item_personas USING (persona_id)
        ORDER BY md5(concat($seed, user_id, t.item_id)), user_id, t.item_id LIMIT $count
        """,
        [],
        {"count": count, "seed": seed},
        **_released(warehouse, "user_item_topk", "item_personas"),
    )
    return [ExplanationToJudge(**row) for row in rows.to_pylist()]


def _released(warehouse: Warehouse, *tables: str) -> dict[str, object]:
    release = served(warehouse)
    if release is None:
        raise PipelineError(f"no release in {warehouse.root} yet; `make nightly` runs a night")
    return {table: warehouse.dataset(table, release.versions[table]) for table in tables}
