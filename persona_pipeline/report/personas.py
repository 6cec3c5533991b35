"""Summarise `item_personas` for the report: counts by source, number per item, and a few items in full."""

from dataclasses import dataclass
from datetime import date
from itertools import groupby

from persona_pipeline.report.tables import TITLE, Row, RunTables

_ITEMS = 6
_QUOTES = 3


@dataclass(frozen=True, slots=True)
class Bar:
    """Items with this many personas; the width is in hundredths of the widest bar."""

    personas: int
    items: int
    width: float


def by_source(tables: RunTables, as_of: date) -> list[Row]:
    """Count personas per source: current, new in this run, retired in this run."""
    return tables.rows(
        """
        SELECT persona_source, count(*) FILTER (status = 'current') AS current,
               count(*) FILTER (status = 'current' AND first_as_of = $as_of::DATE) AS new,
               count(*) FILTER (retired_as_of = $as_of::DATE) AS retired
        FROM item_personas GROUP BY persona_source ORDER BY current DESC, persona_source
        """,
        ["item_personas"],
        {"as_of": as_of.isoformat()},
    )


def per_item(tables: RunTables) -> list[Bar]:
    """Count items by number of personas, among items with a persona based on reviews.

    Items without reviews have one provisional persona each: on most catalogues a bar that dwarfs the rest.
    """
    rows = tables.rows(
        """
        SELECT personas, count(*) AS items
        FROM (SELECT count(*) AS personas FROM item_personas WHERE status = 'current'
              GROUP BY item_id HAVING bool_or(persona_source <> 'metadata'))
        GROUP BY personas ORDER BY personas
        """,
        ["item_personas"],
    )
    widest = max((row["items"] for row in rows), default=0)
    return [Bar(row["personas"], row["items"], 100 * row["items"] / widest) for row in rows]


def without_reviews(tables: RunTables) -> Row:
    """Count items that have only a provisional persona, and items that have none."""
    return tables.rows(
        """
        SELECT count(*) FILTER (n > 0 AND NOT from_reviews) AS provisional, count(*) FILTER (n = 0) AS bare
        FROM (SELECT count(persona_id) AS n, coalesce(bool_or(persona_source <> 'metadata'), false) AS from_reviews
              FROM items LEFT JOIN (SELECT * FROM item_personas WHERE status = 'current') USING (item_id)
              GROUP BY item_id)
        """,
        ["items", "item_personas"],
    )[0]


def sample_items(tables: RunTables) -> list[Row]:
    """Sample six items with their personas: the three with most, then reviewed items by hash, the last one without reviews."""
    rows = tables.rows(
        f"""
        WITH per_item AS (
            SELECT item_id, bool_or(persona_source <> 'metadata') AS reviewed, md5(item_id) AS h,
                   row_number() OVER (
                       ORDER BY bool_or(persona_source <> 'metadata') DESC, count(*) DESC, sum(support) DESC, item_id
                   ) AS richness
            FROM item_personas WHERE status = 'current' GROUP BY item_id
        ),
        bare AS (SELECT item_id FROM per_item WHERE NOT reviewed ORDER BY h LIMIT 1),
        chosen AS (
            SELECT item_id, item_id IN (FROM bare) AS is_bare, richness <= 3 AS rich, reviewed, richness, h
            FROM per_item
            ORDER BY is_bare DESC, rich DESC, reviewed DESC, h LIMIT {_ITEMS}
        )
        SELECT chosen.item_id, {TITLE} AS title, r.review_count, r.mean_rating,
               p.persona_id, p.name, p.description, p.preference_rationale, p.support, p.mean_rating AS persona_rating,
               p.persona_source, p.stance, p.first_as_of, p.evidence[1:{_QUOTES}] AS quotes, len(p.evidence) AS quote_count
        FROM chosen JOIN (SELECT * FROM item_personas WHERE status = 'current') AS p USING (item_id)
        LEFT JOIN (SELECT item_id, review_count, mean_rating FROM item_reviews) AS r USING (item_id)
        LEFT JOIN items USING (item_id) LEFT JOIN item_summaries USING (item_id)
        ORDER BY is_bare, NOT rich, NOT reviewed, CASE WHEN rich THEN richness END, h, p.position, p.persona_id
        """,
        ["item_personas", "item_reviews", "items", "item_summaries"],
    )
    items = []
    for item_id, personas in groupby(rows, key=lambda row: row["item_id"]):
        told = list(personas)
        items.append(
            {"item_id": item_id, **{k: told[0][k] for k in ("title", "review_count", "mean_rating")}, "personas": told}
        )
    return items
