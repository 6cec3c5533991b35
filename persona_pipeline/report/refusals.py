"""Summarise the languages of the reviews, and what was refused (of reviews, events, extraction) by reason, with examples."""

from dataclasses import dataclass
from itertools import groupby

from persona_pipeline.report.flow import Summaries
from persona_pipeline.report.tables import Row, RunTables
from persona_pipeline.sources.reasons import NOT_FAULTS

_EXAMPLES = 3
_CHARACTERS = 240


_NOT_FAULTS = ", ".join(f"'{reason}'" for reason in NOT_FAULTS)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason, its count, and a few examples: (place, text)."""

    subject: str
    reason: str
    count: int
    fault: bool
    examples: list[tuple[str, str]]


def refused_input(tables: RunTables) -> list[Refusal]:
    """Group rejected input lines by input and reason, faults before mere repeats; examples are masked."""
    rows = tables.rows(
        f"""
        SELECT input AS subject, reason, count(*) OVER (PARTITION BY input, reason) AS n,
               source_file || ', line ' || source_line AS place,
               concat_ws(': ', field, detail) AS told
        FROM (
            SELECT input, reason, source_file, source_line, field, detail FROM rejected_reviews
            UNION ALL
            SELECT 'interactions', reason, source_file, source_line, field, detail FROM rejected_interactions
        ) AS refused (input, reason, source_file, source_line, field, detail)
        QUALIFY row_number() OVER (PARTITION BY input, reason ORDER BY source_file, source_line) <= {_EXAMPLES}
        ORDER BY reason IN ({_NOT_FAULTS}), n DESC, input, reason, source_file, source_line
        """,
        ["rejected_reviews", "rejected_interactions"],
    )
    return _by_reason(rows)


def quarantined(tables: RunTables) -> list[Refusal]:
    """Group refused extraction outputs by stage and reason."""
    rows = tables.rows(
        f"""
        SELECT stage AS subject, reason, count(*) OVER (PARTITION BY stage, reason) AS n, subject_id AS place,
               CASE WHEN length(detail) > {_CHARACTERS} THEN left(detail, {_CHARACTERS}) || '…' ELSE detail END AS told
        FROM quarantine
        QUALIFY row_number() OVER (PARTITION BY stage, reason ORDER BY subject_id) <= {_EXAMPLES}
        ORDER BY n DESC, stage, reason, subject_id
        """,
        ["quarantine"],
    )
    return _by_reason(rows)


def languages(tables: RunTables) -> list[tuple[str, float]]:
    """Share of the reviews with words by their language, the commonest four; those too short to tell are left out."""
    sql = """
        SELECT language, count(*) / (SELECT count(*) FROM reviews WHERE text <> '') AS share
        FROM reviews WHERE language IS NOT NULL AND text <> '' GROUP BY language ORDER BY share DESC, language LIMIT 4
    """
    return [(row["language"], row["share"]) for row in tables.rows(sql, ["reviews"])]


def unavailable(summaries: Summaries) -> dict[str, int]:
    """Count the items that may not be recommended by reason, the most frequent first."""
    return dict(summaries.get("reviews", {}).get("unavailable") or {})


def not_yet(summaries: Summaries) -> int | None:
    """Number of reviews dated after the run; None where the reviews task did not report."""
    return summaries.get("reviews", {}).get("not_yet")


def _by_reason(rows: list[Row]) -> list[Refusal]:
    found = []
    for (subject, reason, count), cases in groupby(rows, key=lambda row: (row["subject"], row["reason"], row["n"])):
        examples = [(case["place"], case["told"]) for case in cases]
        found.append(Refusal(subject, reason, count, reason not in NOT_FAULTS, examples))
    return found
